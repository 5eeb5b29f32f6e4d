"""What somebody may have meant."""

from __future__ import annotations

from pointrend.suggestions import suggest


def test_the_nearest_name_is_suggested():
    assert suggest("score_treshold", ["masks", "score_threshold", "exact"]) == " Did you mean 'score_threshold'?"


def test_nothing_is_suggested_where_nothing_is_near():
    assert suggest("banana", ["masks", "exact"]) == ""
    assert suggest("banana", []) == ""
