import math
import re

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.lca import LcaParams, Outcome, encode, exponential_eta
from striate.golden.metrics import energy, percent_error
from striate.golden.threshold import transfer

IMAGE = np.random.default_rng(5).standard_normal((2, 12, 16)) * 0.2


def smooth(dictionary, image, **kw):
    """encode with a step small enough for these dictionaries."""
    return encode(image, dictionary, LcaParams(**{"eta": 1 / 32, "steps": 40, **kw}))


@pytest.fixture(scope="module")
def dictionary():
    return Dictionary.random(Geometry((12, 16), 2, 5, 6, 2), seed=3)


@pytest.mark.parametrize("border", ["cropped", "extended", "mirror"])
@pytest.mark.parametrize("kind, two_sided, inclusive", [
    ("hard", False, True), ("hard", True, False), ("soft", False, True), ("soft", True, True)])
def test_equals_the_plain_loop(dictionary, phi_matrix, border, kind, two_sided, inclusive):
    schedule = ((0, 0.05), (7, 0.02))
    params = LcaParams(threshold=0.06, eta=schedule, steps=25, transfer=kind, two_sided=two_sided, inclusive=inclusive,
                       residual_cutoff=0.02, border=border)
    run = encode(IMAGE, dictionary, params)

    phi = phi_matrix(dictionary.atoms, 2, (12, 16), border)
    grow = 2 if border == "extended" else 0
    x = np.pad(IMAGE, ((0, 0), (grow, grow), (grow, grow))).ravel()
    u = np.zeros(phi.shape[1])
    for n in range(25):
        y = transfer(u, 0.06, kind, two_sided=two_sided, inclusive=inclusive)
        r = x - phi @ y
        r[np.abs(r) < 0.02] = 0.0
        u = u + (0.05 if n < 7 else 0.02) * (phi.T @ r + y - u)
    y = transfer(u, 0.06, kind, two_sided=two_sided, inclusive=inclusive)
    r = (x - phi @ y).reshape(2, 12 + 2 * grow, 16 + 2 * grow)[:, grow:12 + grow, grow:16 + grow]
    np.testing.assert_allclose(run.membrane.ravel(), u, atol=1e-12)
    np.testing.assert_allclose(run.code.ravel(), y, atol=1e-12)
    np.testing.assert_allclose(run.residual, r, atol=1e-12)
    assert run.steps == 25 and np.count_nonzero(run.code) > 10


def test_equals_the_gram_form(dictionary, phi_matrix):
    """Uncropped, untruncated and strict, the residual form is u += eta (Phi^T x - u - (Phi^T Phi - I) T(u))."""
    run = smooth(dictionary, IMAGE, border="extended", residual_cutoff=0.0, inclusive=False, steps=200)
    phi = phi_matrix(dictionary.atoms, 2, (12, 16), "extended")
    drive = phi.T @ np.pad(IMAGE, ((0, 0), (2, 2), (2, 2))).ravel()
    gram = phi.T @ phi - np.eye(phi.shape[1])
    u = np.zeros(phi.shape[1])
    for _ in range(200):
        u = u + (drive - u - gram @ transfer(u, 0.05, inclusive=False)) / 32
    np.testing.assert_allclose(run.membrane.ravel(), u, atol=1e-9)


def test_warm_start_continues_exactly(dictionary):
    whole = smooth(dictionary, IMAGE, steps=30)
    half = smooth(dictionary, IMAGE, steps=15)
    rest = encode(IMAGE, dictionary, LcaParams(steps=15), membrane=half.membrane)
    np.testing.assert_array_equal(rest.membrane, whole.membrane)
    np.testing.assert_array_equal(rest.residual, whole.residual)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_energy_descends(dictionary, kind):
    params = LcaParams(eta=1 / 64, steps=400, transfer=kind, residual_cutoff=0.0, two_sided=True)
    trace = encode(IMAGE, dictionary, params, trace=True).trace
    # Soft thresholding is a true descent; a hard unit that switches on may overshoot its neighbours by a hair.
    assert np.diff(trace.energy).max() <= (1e-12 if kind == "soft" else 1e-3) * trace.energy[0]
    assert trace.energy[-1] < 0.8 * trace.energy[0]


def test_trace_tells_the_same_as_the_result(dictionary):
    seen = []
    params = LcaParams(steps=30)
    run = encode(IMAGE, dictionary, params, trace=lambda step: seen.append((step.step, step.code.copy(), step.active)))
    trace = run.trace
    assert [n for n, _, _ in seen] == list(range(31)) and len(trace.energy) == 31
    assert trace.active.tolist() == [active for _, _, active in seen]
    assert trace.percent_error[0] == pytest.approx(100.0) and trace.active[0] == trace.changed[0] == 0
    assert trace.percent_error[-1] == pytest.approx(percent_error(IMAGE, run.residual))
    assert trace.energy[-1] == pytest.approx(energy(run.residual, run.code, params.threshold))
    assert trace.changed[-1] == np.count_nonzero(seen[-1][1] != seen[-2][1])
    assert encode(IMAGE, dictionary, params).trace is None


def test_residual_is_what_the_code_leaves(dictionary, phi_matrix):
    run = smooth(dictionary, IMAGE)
    phi = phi_matrix(dictionary.atoms, 2, (12, 16), "cropped")
    np.testing.assert_allclose(run.residual.ravel(), IMAGE.ravel() - phi @ run.code.ravel(), atol=1e-12)


@pytest.mark.parametrize("eta, scale", [(1.0, 1.0), (0.9, 1e150), (1.0, 1e-150)])
def test_too_large_a_step_is_an_outcome_with_finite_arrays(eta, scale):
    dictionary = Dictionary.random(Geometry((16, 16), 1, 16, 8, 2), seed=0)
    image = np.random.default_rng(1).standard_normal((1, 16, 16)) * scale
    params = LcaParams(eta=eta, threshold=0.05 * scale, residual_cutoff=0.0, steps=500)
    run = encode(image, dictionary, params, trace=True)
    assert run.outcome is Outcome.DIVERGED and run.steps < 500
    assert all(np.isfinite(a).all() for a in (run.code, run.membrane, run.residual, run.trace.energy))
    assert "halve eta" in run.outcome.remedy


def test_bounded_garbage_counts_as_diverged():
    """Stopped before it explodes, a run that has left the image behind is still no code."""
    dictionary = Dictionary.random(Geometry((16, 16), 1, 16, 8, 2), seed=0)
    image = np.random.default_rng(1).standard_normal((1, 16, 16))
    trace = encode(image, dictionary, LcaParams(eta=1.0, steps=500), trace=True).trace
    short = encode(image, dictionary, LcaParams(eta=1.0, steps=int(np.argmax(trace.percent_error > 110))))
    assert percent_error(image, short.residual) > 110
    assert short.outcome is Outcome.DIVERGED


def test_a_warm_start_far_from_the_image_is_not_divergence(dictionary):
    other = smooth(dictionary, np.roll(-IMAGE, 3, axis=1) * 3)
    run = encode(IMAGE, dictionary, LcaParams(steps=1), membrane=other.membrane)
    assert percent_error(IMAGE, run.residual) > 100 and run.outcome is Outcome.MAX_STEPS


def test_outcomes_of_stable_runs(dictionary):
    assert smooth(dictionary, IMAGE, steps=3).outcome is Outcome.MAX_STEPS
    settled = encode(IMAGE, dictionary, LcaParams(transfer="soft", steps=1500, residual_cutoff=0.0))
    assert settled.outcome is Outcome.CONVERGED and settled.slope < 0.05
    blank = smooth(dictionary, np.zeros_like(IMAGE))
    assert blank.outcome is Outcome.CONVERGED and not blank.code.any()
    for outcome in Outcome:
        assert outcome.remedy.endswith(".") and "\n" not in outcome.remedy
    assert {outcome.value for outcome in Outcome} == {"converged", "max_steps", "diverged"}


def test_exponential_eta():
    assert exponential_eta(1.0, 32.0) == pytest.approx(1 - math.exp(-1 / 32))
    with pytest.raises(InputError, match="dt and tau must be above 0, not -1 and 2"):
        exponential_eta(-1, 2)


@pytest.mark.parametrize("change, message", [
    ({"threshold": 0}, "dynamics.threshold must be a finite number above 0, not 0"),
    ({"transfer": "firm"}, "dynamics.transfer must be one of hard, soft, not 'firm'"),
    ({"border": "wrap"}, "dynamics.border must be one of cropped, extended, mirror, circular, not 'wrap'"),
    ({"steps": 0}, "dynamics.steps must be at least 1, not 0"),
    ({"residual_cutoff": -0.1}, "dynamics.residual_cutoff must be 0 (off) or a finite number above it, not -0.1"),
    ({"eta": 0.0}, "dynamics.eta must be above 0 and at most 1, not 0.0"),
    ({"eta": 1.5}, "dynamics.eta must be above 0 and at most 1, not 1.5"),
    ({"eta": ((0, 0.1), (5, -0.1))}, "dynamics.eta must be above 0 and at most 1, not -0.1"),
    ({"eta": ((3, 0.1),)}, "a schedule of eta starts at step 0 and then rises, not at steps [3]"),
    ({"eta": ((0, 0.1), (0, 0.2))}, "a schedule of eta starts at step 0 and then rises, not at steps [0, 0]"),
    ({"eta": ()}, "a schedule of eta starts at step 0 and then rises, not at steps []"),
])
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        LcaParams(**change)


@pytest.mark.parametrize("image, membrane, message", [
    (np.zeros((12, 16)), None, "the image has the shape (12, 16); this dictionary takes (2, H, W)"),
    (np.zeros((1, 12, 16)), None, "the image has the shape (1, 12, 16); this dictionary takes (2, H, W)"),
    (np.zeros((2, 13, 16)), None, "network.stride 2 does not divide the image height 13; use a height of 12 or 14"),
    (np.full((2, 12, 16), np.nan), None, "the image holds 384 values that are not finite"),
    (IMAGE, np.zeros((5, 6, 7)), "the starting membrane has the shape (5, 6, 7); this image and dictionary take (5,"),
    (IMAGE, np.full((5, 6, 8), np.inf), "the starting membrane holds values that are not finite"),
])
def test_bad_input_is_refused(dictionary, image, membrane, message):
    with pytest.raises(InputError, match=re.escape(message)):
        encode(image, dictionary, membrane=membrane)
