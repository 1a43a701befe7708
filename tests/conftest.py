"""What all tests share: which run by default, and how much Hypothesis tries."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")  # figures without a screen

ALL = os.environ.get("STRIATE_ALL", "") not in ("", "0")

# `make test` is the same on every run and machine, `make test-all` looks for new counterexamples. No deadline: a first
# call of a compiled function takes seconds.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
settings.register_profile(
    "all", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("all" if ALL else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked slow, unless STRIATE_ALL is set."""
    if not ALL:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: `make test-all` runs it"))
