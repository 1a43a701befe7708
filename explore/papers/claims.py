"""What a paper says, and whether it was found again."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Of a claim; the value is the word on pages and in files."""

    HOLDS = "holds"
    PARTLY = "partly holds"
    FAILS = "does not hold"


@dataclass(frozen=True)
class Claim:
    """One claim of a paper and what the experiment found.

    Args:
        name: short, lower-case with dashes; key in files.
        statement: what the paper claims, in our words, one sentence.
        verdict: by the rule that ``rule`` states.
        rule: when it would hold and when it would not, fixed before the run, in numbers.
        evidence: what was found, with the numbers.
    """

    name: str
    statement: str
    verdict: Verdict
    rule: str
    evidence: str
