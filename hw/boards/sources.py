"""A design on a board as what synthesis reads: RTLIL of the board's top and of the tile, pins and clocks."""

from dataclasses import dataclass

from ...golden.dictionary import Dictionary
from ...sim.design import Design
from ..cosim.harness import TILE
from ..emit import quantised
from ..pll import Pll, pll_of
from ..serial.uart import divisor_of
from ..tile import Tile
from ..verilog import to_rtlil
from .board import Board
from .top import BoardTop

TOP = "striate_board"
"""Name of the module with the board's pins."""


@dataclass(frozen=True)
class Sources:
    """What the tools are given.

    Args:
        top: the module with the pins. rtlil: module name -> RTLIL; the tile is a module of its own, instantiated by
            name, so that it can be synthesised once.
        constraints: pins and clocks, in the format that ``constraints_name`` ends with.
        pll: how the clock is made; ``clock_mhz`` is what it gives.
        baud: rate of the serial link.
    """

    top: str
    rtlil: dict[str, str]
    constraints: str
    constraints_name: str
    pll: Pll
    baud: int

    @property
    def clock_mhz(self) -> float:
        """The machine's clock."""
        return float(self.pll.output_mhz)


def sources(
    board: Board,
    design: Design,
    clock_mhz: float | None = None,
    *,
    baud: int | None = None,
    dictionary: Dictionary | None = None,
) -> Sources:
    """The sources of a design on a board, at a clock (``board.clock_mhz`` without one).

    Raises:
        InputError: a design without hardware; a clock that the board's PLL does not reach; a baud rate that the clock
            does not divide to.
    """
    pll = pll_of(board.pll, board.input_mhz, board.clock_mhz if clock_mhz is None else clock_mhz)
    plan, _ = quantised(design, dictionary)
    rate = board.baud if baud is None else baud
    divisor = divisor_of(float(pll.output_mhz), rate)
    top = BoardTop(plan, board, pll, divisor, steps=design.dynamics.steps, tile_module=TILE)
    text, constraints = board_rtlil(board, top)
    return Sources(
        TOP,
        {TOP: text, TILE: to_rtlil(Tile(plan, observed=False), TILE)},
        constraints,
        f"{TOP}.{board.constraint_file}",
        pll,
        rate,
    )


def board_rtlil(board: Board, top: BoardTop) -> tuple[str, str]:
    """RTLIL of a board's top, without source locations, and the text of its constraints, from the board's platform."""
    platform = board.platform()
    if board.family == "xilinx":  # its templates would run a Yosys of their own to make Verilog
        templates = dict(platform.file_templates)
        rtlil = {"{{name}}.il": "{{emit_rtlil()}}"}
        kept = {name: text for name, text in templates.items() if not name.endswith((".v", ".sh"))}
        platform = _with_templates(platform, kept | rtlil)
    files = platform.prepare(top, TOP, emit_src=False).files
    return _text(files[f"{TOP}.il"]), _text(files[f"{TOP}.{board.constraint_file}"])


def _with_templates(platform: object, templates: dict[str, str]) -> object:
    """The platform with other files to write."""
    kind = type(platform)
    platform.__class__ = type(kind.__name__, (kind,), {"file_templates": templates})
    return platform


def _text(content: str | bytes) -> str:
    return content.decode() if isinstance(content, bytes) else content
