"""What the page says: what is asked of which mode, in which unit, from whose files, and how modes are told apart."""

import math

import pytest

from kpcore.report.summary import Estimate


@pytest.mark.parametrize("values", [[1e308] * 4, [1.7e308, -1.7e308], [1e308, 1e300]])
def test_the_mean_of_vast_figures_is_finite(values):
    found = Estimate.of(values)
    assert found.mean is not None and math.isfinite(found.mean) and found.spread is not None
    assert found.mean == pytest.approx(sum(value / len(values) for value in values))
