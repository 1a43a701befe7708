import math

import numpy as np
import pytest

from striate.golden.metrics import energy, percent_error, percent_inactive, psnr_db


def test_definitions():
    image, residual = np.full((1, 2, 2), 2.0), np.full((1, 2, 2), 0.1)
    assert percent_error(image, residual) == pytest.approx(5.0)
    assert psnr_db(residual) == pytest.approx(20.0)
    code = np.array([0.0, 0.0, 0.0, 3.0])
    assert percent_inactive(code) == 75.0
    assert energy(residual, code, 0.5) == pytest.approx(0.5 * 4 * 0.01 + 0.125)
    assert energy(residual, code, 0.5, "soft") == pytest.approx(0.02 + 1.5)


def test_blank_images_have_an_answer():
    blank = np.zeros((1, 2, 2))
    assert percent_error(blank, blank) == 0.0
    assert percent_error(blank, blank + 1) == math.inf
    assert psnr_db(blank) == math.inf
