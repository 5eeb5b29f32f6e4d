"""Fixtures of the model's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.modeling.golden_case import CASES, MASK_RCNN_CASE, POINT_REND_CASES, GoldenCase, load_case


@pytest.fixture(params=CASES)
def golden(request: pytest.FixtureRequest) -> GoldenCase:
    return load_case(request.param)


@pytest.fixture(params=POINT_REND_CASES)
def golden_points(request: pytest.FixtureRequest) -> GoldenCase:
    return load_case(request.param)


@pytest.fixture
def golden_mask_rcnn() -> GoldenCase:
    return load_case(MASK_RCNN_CASE)


@pytest.fixture
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield
