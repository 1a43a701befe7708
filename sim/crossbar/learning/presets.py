"""How kinds of memristors answer pulses: presets with their sources; what their numbers mean is in `pulses`.

Numbers: IBM Analog Hardware Acceleration Kit, ``src/aihwkit/simulator/presets/devices.py`` at commit 9488fd0; their
meaning: ``configs/devices.py`` and ``PulsedRPUDevice::populate`` of the same project. Not carried over: leakage of the
capacitor, corrupt devices (the crossbar has its own faults), and PCM, which takes pulses one way only.
"""

from dataclasses import dataclass

import numpy as np

from ....golden.errors import InputError
from ...design_file import did_you_mean


@dataclass(frozen=True)
class UpdateDevice:
    """How one kind of cell answers pulses. Lengths are in units of w, spreads relative.

    Args:
        step: mean step at w = 0. step_spread: its standard deviation from device to device over itself; with
            ``log_normal`` that of its logarithm.
        up_down: how much shorter the step down is than the step up, over ``step`` (negative: the step up is shorter);
            up_down_spread: standard deviation from device to device of half that difference.
        high, low: bounds; high_spread, low_spread: their standard deviations over themselves.
        slope_up, slope_down: g; slope_spread: standard deviation of g. own_bounds: g counts to the cell's own bounds
            rather than to the nominal ones.
        exponential: (A_up, A_down, g_up, g_down, c, d) in place of the slopes.
        cycle: standard deviation of a single step over the mean one at w = 0, or with ``proportional`` over the step.
        write_noise: standard deviation, over ``step``, of what a cell shows around what it holds; drawn anew by every
            write.
        centred: the reference is each cell's own symmetry point, up to an error of standard deviation
            ``reference_spread``: w counts from there.
    """

    name: str
    title: str
    source: str
    step: float
    step_spread: float = 0.3
    log_normal: bool = False
    up_down: float = 0.0
    up_down_spread: float = 0.01
    high: float = 1.0
    low: float = -1.0
    high_spread: float = 0.3
    low_spread: float = 0.3
    slope_up: float = 0.0
    slope_down: float = 0.0
    slope_spread: float = 0.0
    own_bounds: bool = True
    exponential: tuple[float, float, float, float, float, float] | None = None
    cycle: float = 0.3
    proportional: bool = True
    write_noise: float = 0.0
    centred: bool = False
    reference_spread: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.step < np.inf and self.low < 0 < self.high):
            raise InputError(
                f"update device {self.name} has a step of {self.step} between {self.low} and {self.high}; the step "
                f"must be above 0 and the bounds on both sides of 0"
            )

    @property
    def states(self) -> float:
        """Mean steps that fit between the nominal bounds."""
        return (self.high - self.low) / self.step


_GONG = "Gong et al., Nature Communications 9, 2102 (2018), as fitted in aihwkit presets/devices.py"
_ARRAY = "array measurements of Gong, Rasch et al., IEDM 2022, as fitted in aihwkit presets/devices.py"

_ALL = (
    UpdateDevice("reram-es", "HfO2 ReRAM, exponential step", f"{_GONG} (ReRamES)", 0.00135, 0.2, up_down=0.259359,
                 up_down_spread=0.05, exponential=(-1.18445, -0.081404, 5.0, 5.0, -0.5, -0.5), cycle=5.0,
                 write_noise=75.0),
    UpdateDevice("reram-sb", "HfO2 ReRAM, soft bounds", f"{_GONG}, loosely (ReRamSB)", 0.002, 0.3, high=1.25, low=-0.75,
                 high_spread=0.3 / 1.25, low_spread=0.3 / 0.75, slope_up=1.0, slope_down=1.0, cycle=3.75,
                 proportional=False, write_noise=56.0),
    UpdateDevice("reram-array-om", "ReRAM array, optimised material", f"{_ARRAY} (ReRamArrayOM)", 0.0949, 0.7829, True,
                 high_spread=0.3499, low_spread=0.5695, slope_up=1.0, slope_down=1.0, cycle=0.4158, proportional=False,
                 write_noise=1.4113, centred=True, reference_spread=0.05),
    UpdateDevice("reram-array-hfo2", "ReRAM array, baseline HfO2", f"{_ARRAY} (ReRamArrayHfO2)", 0.4622, 0.7125, True,
                 high_spread=0.4295, low_spread=0.5990, slope_up=1.0, slope_down=1.0, cycle=0.2174, proportional=False,
                 write_noise=0.5841, centred=True, reference_spread=0.05),
    UpdateDevice("capacitor", "capacitor cell, leakage left out", "Li et al., VLSI 2018, as fitted in aihwkit "
                 "presets/devices.py (Capacitor)", 0.005, 0.1, up_down_spread=0.06, high_spread=0.07, low_spread=0.07,
                 slope_up=0.05, slope_down=0.05, slope_spread=0.01, own_bounds=False, proportional=False),
    UpdateDevice("ecram", "lithium ECRAM", "Tang et al., IEDM 2018, as fitted in aihwkit presets/devices.py (EcRam)",
                 0.002, 0.1, high=1.1724, low=-0.8276, high_spread=0.05, low_spread=0.05, slope_up=0.1153,
                 slope_down=0.5085, slope_spread=0.05, own_bounds=False),
    UpdateDevice("ecram-mo", "metal-oxide ECRAM", "Kim et al., IEDM 2019, as fitted in aihwkit presets/devices.py "
                 "(EcRamMO)", 2.8214e-4, 0.1, high=1.1714, low=-0.8286, high_spread=0.05, low_spread=0.05,
                 slope_up=0.4152, slope_down=0.7342, slope_spread=0.05, own_bounds=False, cycle=2.0),
    UpdateDevice("gokmen-vlasov", "specification: constant step, 1200 states", "Gokmen & Vlasov, Frontiers in "
                 "Neuroscience 2016, as scaled in aihwkit presets/devices.py (GokmenVlasov)", 0.0016),
    UpdateDevice("idealized", "specification: constant step, 10 000 states", "Rasch, Gokmen & Haensch, IEEE Design & "
                 "Test 2019, as scaled in aihwkit presets/devices.py (Idealized)", 0.0002, up_down_spread=0.0),
)  # fmt: skip
UPDATE_DEVICES: dict[str, UpdateDevice] = {device.name: device for device in _ALL}
"""Presets by name."""
EXACT = UpdateDevice("exact", "no cell at all", "float64", 2.0**-30, 0.0, up_down_spread=0.0, high_spread=0.0,
                     low_spread=0.0, cycle=0.0)  # fmt: skip
"""No preset of a device: the reference, whose cells start where they are put."""


def update_device(name: str) -> UpdateDevice:
    """The preset of that name.

    Raises:
        InputError: there is none; the nearest name, or all of them.
    """
    if name in (*UPDATE_DEVICES, EXACT.name):
        return UPDATE_DEVICES.get(name, EXACT)
    raise InputError(f"no update device '{name}'; {did_you_mean(name, UPDATE_DEVICES)}")
