"""The example photos and the shipped demo model: a first visitor sees their main objects."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

import pointrend
from gradio_app.examples import EXAMPLES
from pointrend.structures.options import Options


@pytest.fixture(scope="module")
def segment():
    return pointrend.load("demo")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_its_main_objects_are_found(segment, example):
    with Image.open(example.path) as photo:
        image = np.asarray(photo.convert("RGB"))
    found = segment(image, Options(score_threshold=0.6)).instances
    seen = Counter(instance.category for instance in found)
    assert not Counter(example.shows) - seen, seen
    largest = max(instance.area for instance in found if instance.category in example.shows)
    assert largest > 0.05 * image.shape[0] * image.shape[1]


def test_half_of_them_show_several_objects():
    assert sum(len(example.shows) > 1 for example in EXAMPLES) >= len(EXAMPLES) / 2 == 3


def test_each_has_a_name_of_its_own():
    assert len({example.label for example in EXAMPLES}) == len({example.file for example in EXAMPLES}) == len(EXAMPLES)
