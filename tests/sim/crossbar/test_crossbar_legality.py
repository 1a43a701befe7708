"""What the memristor machine refuses: one line with the key, the value and a remedy that is then accepted."""

from typing import Any

import numpy as np
import pytest

from striate.golden.errors import InputError
from striate.sim.crossbar.legality import check_crossbar
from striate.sim.crossbar.loop import simulate_crossbar
from striate.sim.design import Design

REFUSED: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"tiles": (65, 2)}, r"machine.tiles \[65, 2\]: 65 rows of tiles for 64 rows .*; use \[64, 2\]",
     {"tiles": (64, 2)}),
    ({"tiles": (4, 0)}, r"0 columns of tiles for 64 columns .*; use \[4, 1\]", {"tiles": (4, 1)}),
    ({"rows": 0}, "crossbar.rows cannot be 0; use 1 or more", {"rows": 1}),
    ({"columns": -3}, "crossbar.columns cannot be -3; use 1 or more", {"columns": 1}),
    ({"columns": 1, "mapping": "offset"}, r"cannot be 1 \(one line is the reference .*\); use 2", {"columns": 2}),
    ({"row_split": False}, "rows 128 cannot hold a kernel of 256 values without row_split; use rows = 256 or row_split",
     {"rows": 256}),
    ({"row_split": False, "rows": 256, "mapping": "offset"}, "use rows = 257 or row_split = true", {"rows": 257}),
    ({"wire_ohm": -1.0}, "crossbar.wire_ohm cannot be -1; use 0 or more", {"wire_ohm": 0.0}),
    ({"driver_ohm": -0.5}, "crossbar.driver_ohm cannot be -0.5; use 0 or more", {"driver_ohm": 0.0}),
    ({"sense_ohm": -2.0}, "crossbar.sense_ohm cannot be -2; use 0 or more", {"sense_ohm": 0.0}),
    ({"rows": 512, "columns": 300, "kernels": 300, "patch": 32},
     "arrays of 512x300 with resistances need .* 256 lines on its short side; use crossbar.columns = 256",
     {"columns": 256}),
    ({"rows": 512, "columns": 300, "kernels": 300, "patch": 32}, "or wire_ohm, driver_ohm and sense_ohm = 0",
     {"wire_ohm": 0.0}),
    ({"adc_bits": 1}, r"crossbar.adc_bits cannot be 1; use 0 \(lossless\) or 2 to 24", {"adc_bits": 2}),
    ({"dac_bits": 25}, r"crossbar.dac_bits cannot be 25; use 0 \(lossless\) or 2 to 24", {"dac_bits": 24}),
    ({"adc_bits": -8}, "crossbar.adc_bits cannot be -8", {"adc_bits": 0}),
    ({"sample_hold_noise": 1.5}, "crossbar.sample_hold_noise 1.5 is no fraction of a range; use 0 to 1",
     {"sample_hold_noise": 1.0}),
    ({"sample_hold_noise": -0.1}, "sample_hold_noise -0.1 is no fraction", {"sample_hold_noise": 0.0}),
    ({"adc_bits": 0, "weight": "s24.7", "residual": "s20.7"}, "need 54 bits where 48 are exact; use 6 bits less",
     {"weight": "s18.7"}),
    ({"fault_rate": 1.5}, "crossbar.fault_rate = 1.5 is outside 0 to 1", {"fault_rate": 0.5}),
    ({"read_noise": -0.1}, "crossbar.read_noise = -0.1 is outside 0 to 1", {"read_noise": 0.0}),
    ({"programming_error": 2.0}, "crossbar.programming_error = 2 is outside 0 to 1", {"programming_error": 1.0}),
    ({"levels": 1}, "crossbar.levels = 1 is less than 2 states", {"levels": 2}),
    ({"on_off": 0.5}, "crossbar.on_off = 0.5 inverts the conductance range", {"on_off": 2.0}),
    ({"drift_seconds": -1.0}, "crossbar.drift_seconds = -1 is before programming", {"drift_seconds": 0.0}),
    ({"refresh_seconds": -1.0}, "crossbar.refresh_seconds = -1 is before programming", {"refresh_seconds": 0.0}),
    ({"verify_tolerance": 0.0}, "crossbar.verify_tolerance = 0 accepts no conductance", {"verify_tolerance": 0.1}),
    ({"cell_bits": -1}, "crossbar.cell_bits = -1 is not a number of bits", {"cell_bits": 1}),
    ({"device": "wan2023"}, "wan2022", {"device": "wan2022"}),
    ({"eta": 0.03}, "dynamics.eta 0.03 is for golden runs only", {"eta": None}),
    ({"border": "extended", "schedule": "gram"}, 'dynamics.border "extended" is for golden runs only',
     {"border": "cropped"}),
    ({"inclusive": False}, "dynamics.inclusive false is for golden runs only", {"inclusive": True}),
    ({"drive_accumulator": 1}, "machine.drive_accumulator cannot be 1 bits", {"drive_accumulator": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message", "remedy"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused_says_why_and_the_remedy_is_taken(
    keys: dict[str, Any], message: str, remedy: dict[str, Any]
) -> None:
    design = Design(**keys)
    with pytest.raises(InputError, match=message) as caught:
        check_crossbar(design)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        simulate_crossbar(np.zeros(design.geometry.image_shape), design)
    check_crossbar(design.replace(remedy))


def test_what_only_the_dataflow_machine_minds_is_taken() -> None:
    check_crossbar(Design(tiles=(5, 3), gather_lanes=7, link_depth=0, update_positions=9, schedule="gram"))


@pytest.mark.parametrize(
    ("image", "seed", "message"),
    [
        (np.zeros((1, 8, 8)), 0, r"the image is \(1, 8, 8\), the design wants \(C, H, W\) = \(1, 16, 16\)"),
        (np.full((1, 16, 16), np.nan), 0, "the image holds NaN or infinite values"),
        (np.zeros((1, 16, 16)), -1, "a seed of -1 names no devices; use 0 or more"),
    ],
)
def test_refused_runs(image: np.ndarray, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate_crossbar(image, Design(image=(16, 16), tiles=(1, 1)), seed=seed)
