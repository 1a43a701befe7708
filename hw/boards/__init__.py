"""The boards that a machine can be built for, and what the tools are given to build it."""

from ...golden.errors import InputError
from . import gowin, lattice, xilinx
from .board import Board
from .sources import Sources, sources

BOARDS: dict[str, Board] = {board.name: board for board in (*lattice.BOARDS, *gowin.BOARDS, *xilinx.BOARDS)}
"""Name to board."""

__all__ = ["BOARDS", "Board", "Sources", "board_of", "sources"]


def board_of(name: str) -> Board:
    """The board of that name.

    Raises:
        InputError: a board that is not known; the message names all.
    """
    if name not in BOARDS:
        raise InputError(f"unknown board '{name}'; the boards are {', '.join(BOARDS)}")
    return BOARDS[name]
