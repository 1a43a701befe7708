"""What all tests share: which run by default, how much Hypothesis tries, and programs that a system may lack."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")  # figures without a screen

STRICT = os.environ.get("STRIATE_ALL", "") not in ("", "0")
"""STRIATE_ALL=1: everything runs as with --all, and a test that cannot run fails."""

# `make test` is the same on every run and machine, `make test-all` looks for new counterexamples. No deadline: a first
# call of a compiled function takes seconds.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50)
settings.register_profile(
    "all", deadline=None, max_examples=300, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="slow tests and more random cases as well")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "program(name, package): needs a program of the system; says how to get it")
    settings.load_profile("all" if STRICT or config.getoption("all") else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked slow, unless everything is asked for."""
    if not (STRICT or config.getoption("all")):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: `make test-all` runs it"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test whose program is missing says so: it is left out, or fails where everything must run."""
    for marker in item.iter_markers("program"):
        name, package = marker.args
        if shutil.which(name) is None:
            said = f"not run: apt install {package}"
            if STRICT:
                pytest.fail(said, pytrace=False)
            pytest.skip(said)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was left out for want of a program, one line for each program."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    for line in sorted({reason.removeprefix("Skipped: ") for reason in reasons if "not run: " in reason}):
        terminalreporter.write_line(line)
