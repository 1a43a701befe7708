"""The design: defaults, files, messages, derived integers, proven widths and what the machine refuses."""

import hashlib
import itertools
import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.conv import synthesis
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fixed import Format, quantise
from striate.sim.legality import legal_gather_lanes, legal_tile_counts
from striate.sim.sections import SECTION_OF, SECTIONS
from striate.sim.widths import ResolvedWidths

DEFAULTS = """
[network]
image = [128, 128]
channels = 1
kernels = 8
patch = 16
stride = 2
dictionary = "natural"

[input]
preprocess = "centre-surround"

[dynamics]
threshold = 0.05
transfer = "hard"
two_sided = false
residual_cutoff = 0.005
step_shift = 5
steps = 200
settle = 0
border = "cropped"
inclusive = true

[formats]
weight = "s8.7"
code = "u8.7"
residual = "s8.7"
membrane = "s14.12"
input = "s10.9"

[machine]
tiles = [4, 2]
gather_lanes = 16
scatter_lanes = 8
detect_lanes = 8
update_positions = 1
link_depth = 16
schedule = "delta"
residual_accumulator = 18
drive_accumulator = 0
refresh = 0

[crossbar]
rows = 128
columns = 64
row_split = true
placement = "im2col"
mapping = "differential"
cell_bits = 0
device = "wan2022"
programming = "once"
verify_tolerance = 0.01
drift_seconds = 0.0
refresh_seconds = 0.0
dac_bits = 8
dac_mode = "amplitude"
adc_bits = 8
adc_range = "following"
sample_hold_noise = 0.0
wire_ohm = 1.0
driver_ohm = 0.0
sense_ohm = 0.0
reads = "absolute"

[target]
board = "ulx3s-85f"
clock_mhz = 80.0
"""


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Valid designs with every section touched; not always legal for the machine."""
    stride = draw(st.integers(1, 4))
    two_sided = draw(st.booleans())
    starts = draw(st.lists(st.integers(1, 300), max_size=3, unique=True).map(sorted))
    shifts = [[start, draw(st.integers(0, 12))] for start in [0, *starts]]
    rounding = draw(st.sampled_from(["", ":half_even", ":floor:wrap", ":toward_zero"]))
    keys: dict[str, Any] = dict(
        image=[stride * draw(st.integers(1, 40)), stride * draw(st.integers(1, 40))],
        stride=stride,
        channels=draw(st.integers(1, 3)),
        kernels=draw(st.integers(1, 64)),
        patch=stride + 2 * draw(st.integers(0, 6)),
        dictionary=draw(st.sampled_from(["natural", "some folder/atoms.npz", '/tmp/"quoted" é\\.npz'])),
        preprocess=draw(st.sampled_from(["centre-surround", "none"])),
        two_sided=two_sided,
        threshold=draw(st.floats(1e-6, 10)),
        residual_cutoff=draw(st.floats(0, 1)),
        step_shift=shifts,
        transfer=draw(st.sampled_from(["hard", "soft"])),
        eta=draw(st.none() | st.floats(1e-3, 1)),
        weight=f"s{draw(st.integers(8, 12))}.7{rounding}",
        membrane=f"s16.{draw(st.integers(6, 15))}{rounding}",
        tiles=(draw(st.integers(1, 9)), draw(st.integers(1, 9))),
        clock_mhz=draw(st.floats(1, 500)),
        board=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    )
    if draw(st.booleans()):
        keys["input"] = "s9.8:half_even"
    if draw(st.booleans()):
        keys["code"] = "s10.6" if two_sided else "u7.6"
    return Design(**keys)


def message(**keys: Any) -> str:
    with pytest.raises(InputError) as caught:
        Design(**keys).check_machine()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- defaults and files -------------------------------------------------------------------------------------------
def test_defaults_are_those_promised() -> None:
    design = Design()
    assert design.to_toml() == DEFAULTS.lstrip()
    assert design.dynamics.eta is None
    design.check_machine()


def test_values_are_read_by_section() -> None:
    design = Design(kernels=32, code="u9.8")
    assert (design.network.kernels, design.network.image) == (32, (128, 128))
    assert design.formats.code == Format(False, 9, 8)
    assert design.formats.weight.symmetric and design.formats.weight.low == -127


def test_bare_names_are_unique() -> None:
    assert len(SECTION_OF) == sum(len(section.model_fields) for section in SECTIONS.values())


def test_the_three_ways_to_give_a_key_agree() -> None:
    want = Design(tiles=(2, 2), kernels=32)
    assert Design(machine={"tiles": [2, 2]}, network={"kernels": 32}) == want
    assert Design(**{"machine.tiles": [2, 2], "network.kernels": np.int64(32)}) == want
    assert Design().replace({"machine.tiles": (2, 2)}, kernels=32) == want
    assert Design().set("machine.tiles=[2, 2]", "kernels = 32") == want
    assert Design(machine=want.machine, network=want.network) == want
    assert Design(input={"preprocess": "none"}).input.preprocess == "none"
    assert Design(input="s9.8").formats.input == Format(True, 9, 8)


def test_the_commented_file_is_the_default_design() -> None:
    text = Design.commented_toml()
    assert Design.from_toml(text) == Design()
    assert all(key in text for key in SECTION_OF)
    assert all("#" in line for line in text.splitlines() if "=" in line)


@given(design=designs())
@settings(max_examples=60)
def test_text_round_trip(design: Design) -> None:
    text = design.to_toml()
    again = Design.from_toml(text)
    assert again == design and again.to_toml() == text and hash(again) == hash(design)
    assert again.sha256(b"x") == design.sha256(b"x")
    assert pickle.loads(pickle.dumps(design)) == design
    assert list(tomllib.loads(text)) == list(SECTIONS)


def test_file_round_trip_and_relative_dictionary(tmp_path: Path) -> None:
    design = Design(dictionary=str(tmp_path / "learned" / "atoms.npz"), steps=7)
    (tmp_path / "run").mkdir()
    design.dump(tmp_path / "run" / "design.toml")
    text = (tmp_path / "run" / "design.toml").read_text()
    assert 'dictionary = "../learned/atoms.npz"' in text
    assert Design.load(tmp_path / "run" / "design.toml") == design
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["design.toml"]


def test_replace_checks_again_and_defaults_keep_following() -> None:
    design = Design()
    assert design.replace(two_sided=True).formats.code == Format(True, 9, 7, symmetric=True)
    assert str(design.replace(weight="s4.3", code="u5.3").formats.input) == "s7.6"
    assert str(design.replace(input="s8.7").replace(weight="s4.3").formats.input) == "s8.7"
    assert design.replace(two_sided=True).replace(two_sided=False) == design
    assert design.replace() == design == Design.from_toml(design.to_toml()).replace()
    with pytest.raises(InputError, match="use patch 14 or 16"):
        design.replace(patch=15)


def test_hash_does_not_depend_on_key_order_spelling_or_place_of_the_dictionary() -> None:
    one = Design.from_toml(
        '[machine]\ntiles = [2, 2]\n[network]\nstride = 4\nkernels = 32\n[formats]\ncode = "u8.7:half_up"'
    )
    two = Design(kernels=32, tiles=(2, 2), stride=4)
    assert one.sha256(b"d") == two.sha256(b"d") != two.sha256(b"e")
    assert Design(dictionary="a.npz").sha256(b"d") == Design(dictionary="b/c.npz").sha256(b"d")
    assert Design(step_shift=[[0, 5]]).sha256() == Design().sha256() != Design(step_shift=4).sha256()
    text = Design().to_toml().replace("natural", "").encode()
    assert Design().sha256(b"d") == hashlib.sha256(len(text).to_bytes(8, "little") + text + b"d").hexdigest()


def test_a_design_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Design().network.kernels = 3


# ---- messages: keys, types, files ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"kernals": 8}, "unknown design key kernals; did you mean kernels?"),
        ({"zzzz": 8}, "unknown design key zzzz; known: image, channels"),
        ({"network.tiles": 8}, "unknown design key network.tiles; did you mean machine.tiles?"),
        ({"network.kernal": 8}, "unknown design key network.kernal; did you mean kernels?"),
        ({"machin.tiles": 8}, "unknown design section machin in machin.tiles; did you mean machine?"),
        ({"network": 8}, "network is a section of the design, not a key"),
        ({"kernels": 8, "network": {"kernels": 9}}, "design key network.kernels is given twice"),
        ({"kernels": "8"}, "network.kernels must be a whole number, not '8'; the default is 8"),
        ({"kernels": 8.0}, "network.kernels must be a whole number, not 8.0"),
        ({"kernels": True}, "network.kernels must be a whole number, not True"),
        ({"kernels": 0}, "network.kernels must be at least 1, not 0"),
        ({"image": [128]}, "network.image must be a list of two whole numbers"),
        ({"image": [128, 128, 1]}, "network.image must be a list of two whole numbers"),
        ({"image": [128, "a"]}, "network.image must be a list of two whole numbers, as in [4, 2]; found 'a' in it"),
        ({"image": 128}, "network.image must be a list of two whole numbers"),
        ({"image": [127, 128]}, "use a height of 126 or 128"),
        ({"patch": 15}, "use patch 14 or 16"),
        ({"dictionary": "atoms"}, "network.dictionary must be \"natural\" or a path ending in .npz, not 'atoms'"),
        (
            {"preprocess": "white"},
            "input.preprocess must be one of 'centre-surround', 'zca', 'contrast' or 'none', not 'white'",
        ),
        ({"threshold": 0.0}, "dynamics.threshold must be above 0, not 0.0; the default is 0.05"),
        ({"threshold": float("inf")}, "dynamics.threshold must be a finite number, not inf"),
        ({"transfer": "firm"}, "dynamics.transfer must be one of 'hard' or 'soft', not 'firm'"),
        ({"two_sided": 1}, "dynamics.two_sided must be true or false, not 1"),
        ({"residual_cutoff": -1.0}, "dynamics.residual_cutoff must be at least 0, not -1.0"),
        ({"steps": 0}, "dynamics.steps must be at least 1, not 0; the default is 200"),
        ({"eta": 2.0}, "dynamics.eta must be at most 1, not 2.0"),
        (
            {"border": "wrap"},
            "dynamics.border must be one of 'cropped', 'extended', 'mirror' or 'circular', not 'wrap'",
        ),
        ({"step_shift": "fast"}, "dynamics.step_shift must be a whole number such as 5 or pairs"),
        ({"step_shift": True}, "dynamics.step_shift must be a whole number such as 5 or pairs"),
        ({"step_shift": []}, "dynamics.step_shift must be a whole number such as 5 or pairs"),
        ({"step_shift": [[0, 5], [0, 6]]}, "dynamics.step_shift changes at the steps [0, 0]; start at step 0"),
        ({"step_shift": 25}, "dynamics.step_shift cannot be 25; use 0 to 24"),
        ({"weight": "s8"}, "formats.weight 's8' is not a number format; write it as s8.7"),
        ({"weight": 8}, 'formats.weight must be a number format written like "s8.7", not 8'),
        ({"membrane": "s1.0"}, "formats.membrane number format 's1.0' is 1 bit wide; use a width of 2 or more"),
        ({"residual": "s8.9"}, "formats.residual number format 's8.9' has its fraction outside the word"),
        ({"residual": Format(True, 8, -1)}, "formats.residual has its fraction -1 outside the word; use 0 to 8"),
        ({"code": "u25.7"}, "formats.code is 25 bits wide; use a width of 2 to 24"),
        ({"schedule": "lazy"}, "machine.schedule must be one of 'delta', 'skip', 'dense' or 'gram', not 'lazy'"),
        ({"gather_lanes": "all"}, "machine.gather_lanes must be a whole number, not 'all'; the default is 16"),
        ({"row_split": "yes"}, "crossbar.row_split must be true or false, not 'yes'"),
        ({"placement": "rows"}, "crossbar.placement must be one of 'im2col' or 'toeplitz', not 'rows'"),
        ({"board": 85}, 'target.board must be text, not 85; the default is "ulx3s-85f"'),
    ],
)
def test_bad_keys_are_refused_in_one_line(keys: dict[str, Any], text: str) -> None:
    assert text in message(**keys)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[network]\nkernals = 8", "unknown design key network.kernals; did you mean kernels?"),
        ("[netwrk]\nkernels = 8", "unknown design section netwrk; did you mean network?"),
        ("kernels = 8", "the key kernels stands outside a section; put it under [network]"),
        ("what = 8", "the key what stands outside a section; remove it"),
        ("[network]\nkernels = ", "is not a TOML file: Invalid value"),
        ('[network]\nkernels = "8"', "network.kernels must be a whole number, not '8'"),
        ("[network]\nkernels = 2020-01-01", "network.kernels must be a whole number"),
    ],
)
def test_bad_files_are_refused_in_one_line_that_names_the_file(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        Design.load(path)
    assert str(caught.value).startswith(str(path)) and text in str(caught.value) and "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the design file .*none.toml: No such file.*`striate new FILE`"):
        Design.load(tmp_path / "none.toml")
    (tmp_path / "picture.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        Design.load(tmp_path / "picture.toml")
    with pytest.raises(InputError, match="cannot write the design file"):
        Design().dump(tmp_path / "nowhere" / "design.toml")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("network.kernels", "'network.kernels' is not a setting; write it as section.key=value"),
        ("network.kernels=", "is not a setting"),
        ("network.kernel=3", "unknown design key network.kernel; did you mean kernels?"),
        ("network.kernels=many", "network.kernels must be a whole number, not 'many'"),
        ("network.kernels=3\nother=4", "network.kernels must be a whole number"),
    ],
)
def test_bad_settings(setting: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        Design().set(setting)
    assert text in str(caught.value)


def test_settings_take_toml_and_bare_words() -> None:
    design = Design().set(
        "formats.code=s9.7",
        "machine.schedule=dense",
        "dynamics.step_shift=[[0,4],[50,5]]",
        "network.kernels=4",
        "network.kernels=6",
        'target.board="a board"',
        "dynamics.two_sided=true",
    )
    assert (str(design.formats.code), design.machine.schedule, design.shifts) == ("s9.7", "dense", ((0, 4), (50, 5)))
    assert (design.network.kernels, design.target.board) == (6, "a board")


# ---- what the machine refuses -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (
            {"eta": 0.03},
            (
                "dynamics.eta 0.03 is for golden runs only: the machine steps by powers of two; remove it and use "
                "dynamics.step_shift = 5"
            ),
        ),
        ({"border": "mirror"}, 'dynamics.border "mirror" is for golden runs only; the machine needs "cropped"'),
        ({"inclusive": False}, "dynamics.inclusive false is for golden runs only; the machine needs true"),
        ({"weight": "u8.7"}, "formats.weight u8.7 has no sign; use s8.7"),
        ({"residual": "u8.7:floor"}, "formats.residual u8.7:floor has no sign; use s8.7:floor"),
        ({"membrane": "u14.12"}, "formats.membrane u14.12 has no sign; use s14.12"),
        (
            {"two_sided": True, "code": "u8.7"},
            "formats.code u8.7 has no sign, but dynamics.two_sided is true; use s9.7",
        ),
        (
            {"weight": "s4.3", "code": "u4.3", "input": "s10.9", "threshold": 0.2},
            "formats.input s10.9 is finer than a product of weight and code; its widest legal fraction is 6",
        ),
        (
            {"threshold": 2.5},
            (
                "dynamics.threshold 2.5 cannot be represented in formats.membrane s14.12; "
                "use a threshold of 1.999755859375"
            ),
        ),
        (
            {"threshold": 1e-5},
            (
                "dynamics.threshold 1e-05 cannot be represented in formats.membrane s14.12; "
                "use a threshold of 0.000244140625"
            ),
        ),
        ({"code": "u5.3"}, "formats.code u5.3 is 0 at the threshold 0.05; use u6.4"),
        (
            {"residual_accumulator": 1},
            "machine.residual_accumulator cannot be 1 bits; use 0 (the proven bound) or 2 to 48",
        ),
        ({"drive_accumulator": 49}, "machine.drive_accumulator cannot be 49 bits; use 0 (the proven bound) or 2 to 48"),
        ({"drive_accumulator": -1}, "machine.drive_accumulator cannot be -1 bits"),
        (
            {"weight": "s24.20", "residual": "s24.23", "code": "u24.0", "threshold": 1.0, "drive_accumulator": 40},
            "need sums of 70 bits and 62 are possible",
        ),
        (
            {"tiles": (5, 2)},
            ("machine.tiles [5, 2]: 5 rows of tiles do not divide the 64 rows of V1 positions; use [4, 2] or [8, 2]"),
        ),
        (
            {"tiles": (4, 16)},
            (
                "machine.tiles [4, 16]: 16 columns of tiles give blocks of 8 pixels where patch - stride "
                "needs 14; use [4, 8]"
            ),
        ),
        (
            {"tiles": (0, 3)},
            "machine.tiles [0, 3]: 0 rows of tiles do not divide the 64 rows of V1 positions; use [1, 2]",
        ),
        (
            {"kernels": 3},
            ("machine.gather_lanes 16 is neither a divisor of the 3 kernels nor 3 times a power of two; use 12 or 24"),
        ),
        ({"kernels": 12, "gather_lanes": 5}, "use 4 or 6"),
        ({"gather_lanes": 0}, "machine.gather_lanes cannot be 0; use 1 to 4096"),
        ({"scatter_lanes": 6}, "machine.scatter_lanes 6 is not a power of two; use 4 or 8"),
        ({"detect_lanes": 3}, "machine.detect_lanes 3 does not divide the 8 scatter lanes; use 2 or 4"),
        ({"detect_lanes": 16}, "machine.detect_lanes 16 does not divide the 8 scatter lanes; use 8"),
        ({"detect_lanes": 0}, "machine.detect_lanes cannot be 0; use 1 to 4096"),
        ({"link_depth": 0}, "machine.link_depth cannot be 0; use 1"),
        ({"link_depth": 1025}, "machine.link_depth cannot be 1025; use 1024"),
        ({"steps": 65536}, "dynamics.steps 65536 does not fit the machine's step counter; use 65535 or fewer"),
        ({"clock_mhz": 0.0}, "target.clock_mhz must be above 0"),
    ],
)
def test_the_machine_refuses_what_a_golden_run_takes(keys: dict[str, Any], text: str) -> None:
    Design(**keys)
    assert text in message(**keys)


def test_remedies_are_legal() -> None:
    """Every tiling, lane count, threshold and format that a message names is accepted."""
    for tiles in ((4, 2), (8, 2), (4, 8), (1, 2)):
        Design(tiles=tiles).check_machine()
    for lanes in (12, 24, 1, 3, 6):
        Design(kernels=3, gather_lanes=lanes).check_machine()
    for threshold in (1.999755859375, 0.000244140625):
        Design(threshold=threshold, code="u14.13").check_machine()
    Design(code="u6.4").check_machine()
    Design(transfer="soft", code="u5.3").check_machine()


@given(rows=st.integers(1, 24), stride=st.integers(1, 4), half=st.integers(0, 5), count=st.integers(1, 24))
def test_tilings_are_legal_exactly_when_listed(rows: int, stride: int, half: int, count: int) -> None:
    size = stride * rows
    design = Design(image=(size, size), stride=stride, patch=stride + 2 * half, tiles=(count, 1))
    legal = rows % count == 0 and (count == 1 or size // count >= 2 * half)
    assert (count in legal_tile_counts(design, 0)) == legal
    if legal:
        design.check_machine()
    else:
        with pytest.raises(InputError, match="machine.tiles"):
            design.check_machine()


def test_legal_gather_lanes() -> None:
    assert legal_gather_lanes(6)[:6] == [1, 2, 3, 6, 12, 24]
    assert all(n % 5 == 0 or n == 1 for n in legal_gather_lanes(5))


# ---- derived integers ---------------------------------------------------------------------------------------------
def test_derived_integers_of_the_default() -> None:
    design = Design()
    assert (design.threshold_q, design.cutoff_q) == (205, 1)  # 0.05 * 4096 = 204.8; 0.005 * 128 = 0.64
    assert (design.residual_frac, design.drive_frac, design.input_shift) == (14, 14, 5)
    assert (design.delta_code_width, design.delta_residual_width, design.delta_input_width) == (9, 9, 11)
    assert design.geometry.sheet == (64, 64)
    assert design.warnings() == []


@pytest.mark.parametrize(
    ("residual", "cut"), [("s8.7", 0.0039), ("s9.8", 0.0059), ("s10.9", 0.0049), ("s11.10", 0.0054)]
)
def test_effective_cutoff(residual: str, cut: float) -> None:
    assert Design(residual=residual).effective_cutoff == pytest.approx(cut, abs=5e-5)


def test_effective_cutoff_without_one_and_by_floor() -> None:
    assert Design(residual_cutoff=0.0).cutoff_q == 0
    assert Design(residual_cutoff=0.0).effective_cutoff == 2**-8
    assert Design(residual="s8.7:floor").effective_cutoff == 2**-7
    assert Design(residual_cutoff=2**-7).cutoff_q == 1
    assert Design(residual_cutoff=np.nextafter(2**-7, 1)).cutoff_q == 2


def test_steps_of_a_schedule() -> None:
    design = Design(step_shift=[[0, 4], [50, 6]])
    assert [design.shift_at(n) for n in (0, 49, 50, 1000)] == [4, 4, 6, 6]
    assert design.eta_at(50) == 2**-6
    assert design.eta_schedule == ((0, 2**-4), (50, 2**-6))
    assert design.replace(eta=0.3).eta_schedule == ((0, 0.3),)
    assert design.replace(eta=0.3).eta_at(99) == 0.3


def test_warnings() -> None:
    weights = np.full((8, 1, 16, 16), 8)
    assert Design().resolved_widths(weights).residual == 18
    assert Design(step_shift=6).warnings() == [
        "formats.membrane s14.12 has 12 fraction bits; a step shift of 6 wants 13 or the code may freeze"
    ]
    assert any("no residual drives anything" in line for line in Design(residual_cutoff=2.0).warnings())
    assert Design().warnings(weights) == [
        (
            "machine.residual_accumulator 18 is not proven: 22 bits hold every value; "
            "the overflow flag tells whether a run left it"
        )
    ]
    assert any("drive_accumulator 9 is not proven" in line for line in Design(drive_accumulator=9).warnings(weights))
    proven = Design(residual_accumulator=0)
    assert proven.warnings(weights) == []
    assert (proven.residual_word(weights), proven.drive_word(weights)) == (
        proven.residual_bound_width(weights),
        proven.drive_bound_width(weights),
    )
    with pytest.raises(InputError, match=r"the dictionary has the shape \(8, 1, 4, 4\), the design \(8, 1, 16, 16\)"):
        Design().drive_word(np.zeros((8, 1, 4, 4), int))


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("code", [None, "s4.3:half_up:wrap"])
def test_the_bound_of_r_is_reached_and_holds(two_sided: bool, code: str | None) -> None:
    """For the worst codes, found by brute force over extreme words, R stays inside the bound and needs all its bits."""
    keys: dict[str, Any] = {"code": code} if code else {}
    design = Design(
        image=(6, 6), stride=2, patch=4, kernels=2, channels=2, two_sided=two_sided, residual_accumulator=0, **keys
    )
    weights = np.random.default_rng(1).integers(-127, 128, design.geometry.dictionary_shape)
    f, width = design.formats, design.residual_word(weights)
    reached = 0
    words = sorted({-f.code.magnitude if f.code.signed and (two_sided or code) else 0, f.code.high})
    for channel, row, col, sign in itertools.product(range(2), (2, 3), (2, 3), (0, 1)):
        impulse = np.zeros(design.geometry.image_shape)
        impulse[channel, row, col] = 1
        taps = np.zeros(design.geometry.code_shape)
        for index in np.ndindex(*design.geometry.code_shape):
            code_map = np.zeros(design.geometry.code_shape)
            code_map[index] = 1
            taps[index] = synthesis(code_map, weights.astype(float), 2, (6, 6))[channel, row, col]
        worst = np.where((taps > 0) == bool(sign), words[-1], words[0])
        x = (f.input.low if sign else f.input.high) << design.input_shift
        value = int(x - (taps * worst).sum())
        assert -(1 << (width - 1)) <= value < 1 << (width - 1)
        reached = max(reached, value if value >= 0 else -value - 1)
    assert reached.bit_length() + 1 == width


def test_the_bound_of_d() -> None:
    weights = np.zeros((8, 1, 16, 16), int)
    weights[3] = -4
    assert Design(drive_accumulator=0).drive_word(weights) == 19  # 1024 * 128 = 2^17, reached with r~ = -1
    weights[3, 0, 0, 0] = 0
    assert Design(drive_accumulator=0).drive_word(weights) == 18
    assert Design(drive_accumulator=12).drive_word(weights) == 12


@pytest.mark.parametrize(("kernels", "patch", "stride", "residual"), [(8, 16, 2, 20), (32, 16, 2, 22), (32, 15, 1, 24)])
def test_proven_widths_of_common_networks(kernels: int, patch: int, stride: int, residual: int) -> None:
    design = Design(kernels=kernels, patch=patch, stride=stride)
    weights = quantise(Dictionary.random(design.geometry, 0).atoms, design.formats.weight)
    assert design.resolved_widths(weights) == ResolvedWidths(18, 19, residual, 19)
