"""Photos are dealt into folds by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointrend.datasets.annotations import Annotations, LabelledImage, LabelledObject
from pointrend.datasets.folds import MOST_FOLDS, Fold, fold_of
from pointrend.errors import ConfigError, DataError
from pointrend.structures.model_info import Category


def photo(name: str) -> LabelledImage:
    return LabelledImage(Path("images") / name, 8, 8, "", (True,), (LabelledObject(0, {}, False),))


def test_every_photo_is_in_one_fold_whatever_the_others_are() -> None:
    names = [f"{number}.jpg" for number in range(300)]
    folds = [Fold.parse(f"{number}/3") for number in (1, 2, 3)]
    assert [sum(fold.holds(name) for fold in folds) for name in names] == [1] * len(names)
    assert all(80 < sum(fold.holds(name) for name in names) < 120 for fold in folds)
    assert fold_of("a.jpg", 1) == 0


def test_what_a_fold_leaves_out() -> None:
    photos = tuple(photo(f"{number}.jpg") for number in range(30))
    annotations = Annotations(photos, (Category(1, "thing"),))
    left = annotations.without(Fold(1, 3))
    assert {fold_of(each.path.name, 3) for each in left.images} == {0, 2}
    alone = Annotations((photo("1.jpg"),), annotations.categories)
    with pytest.raises(DataError, match="no object left"):
        alone.without(Fold(fold_of("1.jpg", 2), 2))


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/1", "1/x", "1/2/3", "-1/3", f"1/{MOST_FOLDS + 1}"])
def test_what_is_no_fold(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 2/3, not"):
        Fold.parse(text)
