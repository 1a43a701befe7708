"""Networks made smaller until they fit: the picture first, the largest of them, and nothing where all fits."""

from types import SimpleNamespace

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.sim.design import Design
from striate.sim.machine import load_dictionary
from striate.sim.mapping.devices import DEVICES
from striate.sim.mapping.fit import DoesNotFit, fastest, fit
from striate.sim.mapping.resources import Budget, resources
from striate.sim.mapping.shrink import cut_dictionary, shrink
from striate.sim.mapping.space import any_plan, legal_plans, weights_of


def fits(design: Design, dictionary: Dictionary, board: str) -> bool:
    device, base = DEVICES[board], any_plan(design, weights_of(design, dictionary))
    return any(
        Budget(device, resources(plan, device)).comfortable
        for plan in legal_plans(design, base, device) if plan.tiling.tiles == (1, 1)
    )  # fmt: skip


def test_what_fits_stays() -> None:
    found = shrink(Design(), "ulx3s-85f")
    assert found is not None and found.design == Design() and found.changes == ()
    assert found.dictionary == load_dictionary(Design())


def test_the_picture_comes_first_and_is_the_largest() -> None:
    found = shrink(Design(), "orangecrab-25f")
    assert found is not None
    side = found.design.network.image[0]
    assert found.design == Design(image=(side, side)) and 32 <= side < 128 and side % 8 == 0
    assert found.changes == (f"{side}x{side} pixels in place of 128x128",)
    assert fits(found.design, found.dictionary, "orangecrab-25f")
    assert not fits(Design(image=(side + 8, side + 8)), found.dictionary, "orangecrab-25f")


def test_then_kernels_are_cut() -> None:
    found = shrink(Design(), "icebreaker")
    assert found is not None
    n = found.design.network
    assert n.kernels * n.patch**2 < 8 * 16**2 and min(n.image) >= 2 * n.patch
    assert fits(found.design, found.dictionary, "icebreaker")
    assert found.changes[0] == f"{n.kernels} kernels {n.patch}x{n.patch}, cut from 8 of 16x16"
    assert found.dictionary.atoms.shape == (n.kernels, 1, n.patch, n.patch)
    whole, margin = load_dictionary(Design()).atoms, (16 - n.patch) // 2
    for cut, atom in zip(found.dictionary.atoms, whole, strict=False):
        middle = atom[:, margin : margin + n.patch, margin : margin + n.patch]
        assert np.allclose(cut * np.linalg.norm(middle), middle)


def test_a_whole_dictionary_is_not_cut() -> None:
    whole = load_dictionary(Design())
    assert cut_dictionary(whole, 8, 16) is whole
    assert cut_dictionary(whole, 2, 8).source.startswith("cut from ")


def test_fit_takes_the_smaller_network_when_asked() -> None:
    with pytest.raises(DoesNotFit, match="no mapping of this network fits icebreaker"):
        fit(Design(steps=10), "icebreaker", 1.0)
    found = fit(Design(steps=10), "icebreaker", 1.0, shrink=True)
    assert found.changes and found.dictionary is not None and found.frames_per_second >= 1.0
    assert found.design.network.kernels == found.dictionary.kernels
    best = fastest(Design(steps=10), "icebreaker", shrink=True)
    assert best.design.network == found.design.network and best.cycles <= found.cycles


def test_design_fit_passes_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def fake(design: Design, board: str, target_fps: float, **more: object) -> SimpleNamespace:
        asked.update(more)
        return SimpleNamespace(design=design)

    monkeypatch.setattr("striate.sim.mapping.fit.fit", fake)
    assert Design().fit("icebreaker", 1.0, shrink=True) == Design() and asked["shrink"] is True


def test_nothing_of_the_kind() -> None:
    wide = Design(image=(48, 48), kernels=1, patch=24, stride=6, weight="s20.16", residual="s24.20")
    dictionary = Dictionary.random(wide.geometry, seed=0)
    assert shrink(wide.replace(image=(12, 12)), "icebreaker", dictionary) is None
    with pytest.raises(DoesNotFit, match="no network of this kind fits icebreaker, however small the picture"):
        fit(wide.replace(image=(12, 12)), "icebreaker", 1.0, dictionary=dictionary, shrink=True)
