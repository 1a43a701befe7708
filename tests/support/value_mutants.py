"""Single faults in the values that a frame brings with it, and in the count of its code changes."""

from __future__ import annotations

from .mutants import Mutant
from .mutants import _in_mesh as in_mesh
from .mutants import _in_tile as in_tile

VALUE_MUTANTS = (
    Mutant(
        "warm frame with another threshold not refused",
        r"^frame that cannot begin",
        4,
        edits=(in_mesh("assign _N_ = dirty | _N_;", "| ", "| 1'h0 & "),),
    ),
    Mutant(
        "threshold of the frame not kept",
        r"^code event",
        5,
        edits=in_tile(
            r"else if (\control.start_frame ) \control.frame_threshold <= \intake.out [29:19];",
            r"\intake.out [29:19]",
            "11'd410",
        ),
    ),
    Mutant(
        "cutoff of the frame not kept",
        r"^residual event",
        5,
        edits=in_tile(
            r"else if (\control.start_frame ) \control.frame_cutoff <= \intake.out [33:30];",
            r"\intake.out [33:30]",
            "4'h1",
        ),
    ),
    Mutant(
        "step shift of the frame not kept",
        r"^(code event|membrane)",
        5,
        edits=in_tile(
            r"else if (\control.start_frame ) \control.asked <= \intake.out [35:34];", r"\intake.out [35:34]", "2'h0"
        ),
    ),
    Mutant(
        "changes of the tiles behind cut short",
        r"^closing word: changes",
        edits=in_tile(r"assign _N_ = \drain$N.changes + \drain$N.more ;", ".more ", ".more [5:0]"),
    ),
    Mutant(
        "changes begin at one",
        r"^closing word: changes",
        edits=in_tile(r"if (_N_) \drain$N.changes <= 32'd0;", "32'd0", "32'd1"),
    ),
)
