from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pointrend.config.schema import ModelConfig
from pointrend.datasets.annotations import Annotations, LabelledImage, LabelledObject
from pointrend.errors import DataError
from pointrend.training.config import TrainingConfig
from pointrend.training.copy_paste import paste
from pointrend.training.loader import batches
from pointrend.training.sample import Sample
from pointrend.training.sample_order import SampleOrder, repeat_factors, source_factors
from tests.training import toy
from tests.training.crops import make_sample


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write(tmp_path_factory.mktemp("toy"), train=10)


@pytest.fixture(scope="module", name="annotations")
def read_annotations(data: Path) -> Annotations:
    return Annotations.read(data / "instances_train.json", data / "images")


@pytest.fixture(scope="module")
def settings(tiny_config: ModelConfig) -> TrainingConfig:
    return TrainingConfig(name="toy", model=tiny_config, crop=(96,), batch=4, copy_paste=0.5)


def same(one: list[Sample], two: list[Sample]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(torch.equal(a.image, b.image) and torch.equal(a.masks, b.masks) for a, b in pairs)


def test_a_stream_goes_on_where_it_was_whoever_prepares_it(annotations: Annotations, settings: TrainingConfig) -> None:
    whole = list(itertools.islice(iter(batches(annotations, settings, seed=1)), 5))
    later = list(itertools.islice(iter(batches(annotations, settings, seed=1, position=12)), 2))
    assert all(map(same, whole[3:], later))
    by_workers = list(itertools.islice(iter(batches(annotations, settings, seed=1, workers=2)), 5))
    assert all(map(same, whole, by_workers))
    other = next(iter(batches(annotations, settings, seed=2)))
    assert not same(whole[0], other)


def test_a_photo_that_has_gone_is_named_from_a_worker_too(tmp_path: Path, settings: TrainingConfig) -> None:
    data = toy.write(tmp_path, train=2)
    annotations = Annotations.read(data / "instances_train.json", data / "images")
    (data / "images" / "train-1.png").unlink()
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"train-1\.png cannot be read"):
            list(itertools.islice(iter(batches(annotations, settings, workers=workers)), 2))


def photo(*categories: int) -> LabelledImage:
    objects = tuple(LabelledObject(category, {}, False) for category in categories)
    return LabelledImage(Path("x"), 1, 1, "", (True,) * 3, objects)


def test_repeat_factors_by_hand() -> None:
    photos = [photo(0), photo(0), photo(0), photo(0, 1), *[photo(0)] * 11, photo()]
    factors = repeat_factors(photos, 0.25)
    assert factors[3] == pytest.approx(2.0)  # sqrt(0.25 / (1 / 16))
    assert set(factors[[0, 1, 15]]) == {1.0}
    assert set(repeat_factors(photos, 0.0)) == {1.0}


def test_photos_of_a_weighed_source_come_as_many_times_more() -> None:
    photos = [replace(photo(0), source=source) for source in ("street", "studio", "zoo")]
    assert source_factors(photos, {"street": 4, "studio": 0.5, "unheard of": 9}).tolist() == [4.0, 0.5, 1.0]


def test_with_equal_weights_each_photo_comes_once_a_round() -> None:
    order = SampleOrder(np.ones(7), seed=3)
    rounds = [[order[start + place] for place in range(7)] for start in (0, 7)]
    assert [sorted(each) for each in rounds] == [list(range(7))] * 2
    assert rounds[0] != rounds[1]
    assert SampleOrder(np.ones(7), seed=3)[9] == rounds[1][2]


def test_a_heavier_photo_comes_as_many_times_more() -> None:
    order = SampleOrder(np.array([1.0, 1.0, 2.0, 4.0]), seed=0)
    counts = np.bincount([order[place] for place in range(4000)], minlength=4) / 4000
    assert counts == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 2], abs=0.02)


def test_what_is_laid_over_hides_what_lies_below() -> None:
    below = make_sample([[10, 10, 50, 50], [60, 60, 100, 100], [0, 100, 10, 110]], [0, 1, 1])
    above = make_sample([[10, 10, 50, 22], [58, 58, 98, 100]], [2, 2])
    rng = np.random.default_rng(0)
    result = paste(below, replace(above, labelled=torch.tensor([False] * 3)), AllOf(rng.bit_generator))
    # The first keeps 28 of 40 rows; of the second a strip of 2 columns is left: neutral; the third is untouched.
    assert result.boxes.tolist() == [[10, 22, 50, 50], [0, 100, 10, 110], [10, 10, 50, 22], [58, 58, 98, 100]]
    assert result.classes.tolist() == [0, 1, 2, 2]
    assert result.neutral.tolist() == [[98, 60, 100, 100]]
    assert result.labelled.tolist() == [True] * 3
    assert not bool((result.masks[0] & result.masks[2]).any())
    assert torch.equal(result.image[15, 30], above.image[15, 30])
    assert torch.equal(result.image[40, 30], below.image[40, 30])


def test_nothing_to_lay_over_changes_nothing() -> None:
    below = make_sample([[10, 10, 50, 50]], [0])
    assert paste(below, make_sample([], []), np.random.default_rng(0)) is below


class AllOf(np.random.Generator):
    """Chooses every object."""

    def random(self, *args: Any, **kwargs: Any) -> Any:
        return np.zeros(args[0]) if args else 0.0


def test_a_batch_has_one_side_and_the_stream_all_of_them(annotations: Annotations, settings: TrainingConfig) -> None:
    several = replace(settings, crop=(64, 96, 128))
    whole = list(itertools.islice(iter(batches(annotations, several, seed=1)), 12))
    sides = [{item.image.shape[0] for item in batch} for batch in whole]
    assert all(len(each) == 1 for each in sides)
    assert set().union(*sides) == {64, 96, 128}
    later = list(itertools.islice(iter(batches(annotations, several, seed=1, position=20)), 2))
    assert all(map(same, whole[5:7], later))
