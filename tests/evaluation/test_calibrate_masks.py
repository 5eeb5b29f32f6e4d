"""Mask scores are fitted to the IoU that masks reach, by the script that the documentation names."""

from __future__ import annotations

import numpy as np
import pytest

from pointrend.inference.mask_quality import calibrated
from scripts.calibrate_masks import applied, report
from scripts.calibrate_scores import fit


def test_a_line_through_logits_is_found_again() -> None:
    estimates = np.linspace(0.02, 0.98, 97)
    ious = applied(estimates, 0.7, -0.4)
    assert fit(estimates, ious) == pytest.approx((0.7, -0.4), abs=1e-3)


def test_the_model_applies_what_was_fitted() -> None:
    estimates = np.array([0.03, 0.4, 0.97])
    wanted = [calibrated(each, (1.3, 0.2)) for each in estimates.tolist()]
    np.testing.assert_allclose(applied(estimates, 1.3, 0.2), wanted)


def test_the_table_counts_every_mask(capsys: pytest.CaptureFixture[str]) -> None:
    estimates = np.array([0.0, 0.55, 0.5, 0.95, 1.0])
    report("now", estimates, np.array([0.1, 0.6, 0.5, 0.9, 0.96]))
    heading, _, *rows = capsys.readouterr().out.splitlines()
    assert heading == "now: Spearman 1.00, Pearson 1.00, mean absolute error 0.048"
    assert [int(row.split()[3]) for row in rows] == [1, 2, 2]
