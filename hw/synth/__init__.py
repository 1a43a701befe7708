"""From a design to a bitstream with Yosys and nextpnr: ``synthesise``, and what it says when that fails."""

from .failures import Failure
from .families import FAMILIES, Family, family_of
from .flow import Synthesis, Utilisation, synthesise, utilise
from .parse import Clock, Count, CriticalPath
from .route import Try

__all__ = [
    "FAMILIES", "Clock", "Count", "CriticalPath", "Failure", "Family", "Synthesis", "Try", "Utilisation", "family_of",
    "synthesise", "utilise",
]  # fmt: skip
