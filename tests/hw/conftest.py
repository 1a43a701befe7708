"""What several tests of the hardware share: the folder of the small machine, emitted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from striate.golden.dictionary import Dictionary
from striate.hw.emit import emit
from striate.hw.verify_axi import fuzz_design


@pytest.fixture(scope="session")
def axi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``fuzz_design`` with ``Dictionary.random(geometry, 2)``, emitted; to be read only."""
    out, design = tmp_path_factory.mktemp("axi") / "core", fuzz_design()
    emit(design, out, dictionary=Dictionary.random(design.geometry, 2))
    return out
