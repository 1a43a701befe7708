import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.golden.threshold import cost, transfer

membranes = st.lists(st.floats(-3, 3), min_size=1, max_size=20).map(np.array)
kinds = st.sampled_from(["hard", "soft"])
thresholds = st.floats(0.01, 1)


def test_hard_and_soft_at_and_around_the_threshold():
    u = np.array([-0.6, -0.5, 0.0, 0.4, 0.5, 0.6])
    np.testing.assert_array_equal(transfer(u, 0.5), [0, 0, 0, 0, 0.5, 0.6])
    np.testing.assert_array_equal(transfer(u, 0.5, inclusive=False), [0, 0, 0, 0, 0, 0.6])
    np.testing.assert_array_equal(transfer(u, 0.5, two_sided=True), [-0.6, -0.5, 0, 0, 0.5, 0.6])
    np.testing.assert_allclose(transfer(u, 0.5, "soft"), [0, 0, 0, 0, 0, 0.1], atol=1e-15)
    np.testing.assert_allclose(transfer(u, 0.5, "soft", two_sided=True), [-0.1, 0, 0, 0, 0, 0.1], atol=1e-15)


@settings(deadline=None, derandomize=True)
@given(membranes, thresholds, kinds, st.booleans())
def test_two_sided_is_odd_and_one_sided_is_its_positive_half(u, threshold, kind, inclusive):
    both = transfer(u, threshold, kind, two_sided=True, inclusive=inclusive)
    np.testing.assert_array_equal(both, -transfer(-u, threshold, kind, two_sided=True, inclusive=inclusive))
    one = transfer(u, threshold, kind, inclusive=inclusive)
    np.testing.assert_array_equal(one, np.maximum(both, 0.0))
    assert not np.signbit(one).any()


@settings(deadline=None, derandomize=True)
@given(st.floats(-3, 3), thresholds, kinds, st.booleans())
def test_the_code_minimises_its_own_cost(u, threshold, kind, two_sided):
    """T(u) minimises (u - y)^2/2 + C(y) over all allowed y: what ties transfer and cost together."""
    def objective(y):
        return 0.5 * (u - y)**2 + cost(np.array([y]), threshold, kind)

    best = objective(float(transfer(np.array([u]), threshold, kind, two_sided=two_sided)[0]))
    for y in np.linspace(-3 if two_sided else 0, 3, 121):
        assert best <= objective(float(y)) + 1e-12


@settings(deadline=None, derandomize=True)
@given(membranes, thresholds)
def test_strict_and_inclusive_differ_only_at_the_threshold(u, threshold):
    u = np.append(u, threshold)
    differ = transfer(u, threshold) != transfer(u, threshold, inclusive=False)
    np.testing.assert_array_equal(differ, u == threshold)


def test_costs():
    y = np.array([0.0, 2.0, -3.0])
    assert cost(y, 0.5) == 0.25
    assert cost(y, 0.5, "soft") == 2.5


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_thresholds_are_refused(threshold):
    with pytest.raises(InputError, match=r"threshold must be a finite number above 0, not .*; the paper uses 0.05"):
        transfer(np.zeros(1), threshold)


def test_unknown_transfer_is_refused():
    with pytest.raises(InputError, match=re.escape("dynamics.transfer must be one of hard, soft, not 'firm'")):
        cost(np.zeros(1), 0.1, "firm")
