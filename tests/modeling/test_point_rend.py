from __future__ import annotations

import pytest
import torch

from pointrend.config.schema import PointHeadConfig
from pointrend.modeling.point_rend import (
    FeatureMap,
    PointHead,
    _rectified,
    double,
    most_uncertain_points,
    next_points,
    predict_everywhere,
    regular_points,
    sample_in_boxes,
    sample_masks,
    subdivision_plan,
)


def test_regular_points_are_cell_centres_row_by_row() -> None:
    assert regular_points(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


@pytest.mark.parametrize(
    ("side", "steps", "points", "plan"),
    [(7, 5, 784, (28, 3)), (7, 3, 784, (28, 1)), (7, 5, 100, (7, 5)), (7, 1, 784, (28, 0)), (14, 3, 784, (28, 2))],
)
def test_subdivision_plan(side: int, steps: int, points: int, plan: tuple[int, int]) -> None:
    assert subdivision_plan(side, PointHeadConfig(subdivision_steps=steps, subdivision_points=points)) == plan


def test_most_uncertain_points() -> None:
    logits = torch.full((1, 4, 4), 3.0)
    logits[0, 1, 2], logits[0, 3, 0] = -0.1, 0.2
    indices, points = most_uncertain_points(logits, 2)
    found = dict(zip(indices[0].tolist(), points[0].tolist(), strict=True))
    assert found == {6: [0.625, 0.375], 12: [0.125, 0.875]}


@pytest.mark.parametrize("count", [1, 60, 100])
def test_most_uncertain_points_of_every_region(count: int) -> None:
    logits = torch.randn(3, 10, 10, generator=torch.Generator().manual_seed(0))
    indices, _ = most_uncertain_points(logits, count)
    expected = logits.flatten(1).abs().argsort(dim=1)[:, :count]
    assert torch.equal(indices.sort(dim=1).values, expected.sort(dim=1).values)


def test_sampling_equals_grid_sample() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, 3, 10, 12, generator=generator)
    boxes = torch.tensor([[4.0, 3.0, 30.0, 33.0], [-8.0, -8.0, 60.0, 50.0]])  # the second reaches beyond the map
    points = torch.rand(2, 50, 2, generator=generator)
    ours = sample_in_boxes(FeatureMap.of(features, 4), boxes, points)
    places = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
    grid = places / torch.tensor([48.0, 40.0]) * 2 - 1
    expected = torch.nn.functional.grid_sample(features.expand(2, -1, -1, -1), grid[:, :, None], align_corners=False)
    assert torch.allclose(ours, expected[:, :, :, 0].transpose(1, 2), atol=1e-5)


def test_sampling_masks_by_hand() -> None:
    logits = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    points = torch.tensor([[[0.25, 0.25], [0.5, 0.5], [0.0, 0.25]]])
    assert sample_masks(logits, points)[0, :, 0].tolist() == pytest.approx([1.0, 4.0, 0.5])


def test_sampling_gradient() -> None:
    features = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes, points = torch.tensor([[1.0, 2.0, 18.0, 15.0]]), torch.rand(1, 7, 2)
    assert torch.autograd.gradcheck(lambda level: sample_in_boxes(FeatureMap.of(level, 4), boxes, points), features)


@pytest.mark.parametrize("coarse_pred_each_layer", [True, False])
def test_one_class_equals_that_class_of_all(coarse_pred_each_layer: bool) -> None:
    torch.manual_seed(0)
    head = PointHead(8, 5, 5, PointHeadConfig(fc_dim=16, coarse_pred_each_layer=coarse_pred_each_layer))
    fine, coarse, classes = torch.rand(3, 11, 8), torch.rand(3, 11, 5), torch.tensor([4, 0, 2])
    every_class = head(fine, coarse)
    assert every_class.shape == (3, 11, 5)
    expected = every_class[torch.arange(3), :, classes]
    assert torch.allclose(head.predict(fine, coarse, classes), expected, atol=1e-6)


def test_the_next_points_are_the_least_certain_of_the_doubled_mask() -> None:
    logits = torch.full((1, 4, 4), 5.0)
    logits[0, :, 2:] = -5.0  # an edge in the middle
    doubled, indices, points = next_points(logits, 16)
    assert doubled.shape == (1, 8, 8)
    assert doubled.flatten(1).gather(1, indices).abs().max() < doubled.abs().max()
    assert set(points[0, :, 0].tolist()) == {3.5 / 8, 4.5 / 8}
    assert next_points(logits, 1000)[2].shape == (1, 64, 2)


def test_doubling_changes_the_chosen_points_only() -> None:
    torch.manual_seed(0)
    head = PointHead(8, 5, 5, PointHeadConfig(fc_dim=16, subdivision_points=10))
    fine = FeatureMap.of(torch.rand(1, 8, 10, 12), 4)
    regions = (torch.tensor([[2.0, 3.0, 30.0, 28.0]]), torch.tensor([3]), torch.rand(1, 5, 7, 7))
    logits = torch.randn(1, 6, 6)
    plain = torch.nn.functional.interpolate(logits[:, None], scale_factor=2, mode="bilinear")[:, 0]
    doubled = double(head, fine, *regions, logits, 10)
    everywhere = predict_everywhere(head, fine, *regions, 12)
    changed = (doubled != plain).flatten().nonzero().flatten().tolist()
    chosen = most_uncertain_points(plain, 10)[0][0].tolist()
    assert sorted(chosen) == changed
    assert torch.allclose(doubled.flatten()[chosen], everywhere.flatten()[chosen], atol=1e-5)


@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("each_layer", [True, False])
def test_a_prediction_is_the_published_network_with_and_without_gradients(classes: int, each_layer: bool) -> None:
    torch.manual_seed(0)
    head = PointHead(8, 3, classes, PointHeadConfig(fc_dim=16, coarse_pred_each_layer=each_layer))
    fine, coarse = torch.randn(4, 20, 8), torch.randn(4, 3, 20).transpose(1, 2)
    hidden = torch.cat([fine, coarse], dim=2).transpose(1, 2)  # as detectron2 applies the layers
    for index in range(1, 4):
        hidden = head.get_submodule(f"fc{index}")(hidden).relu()
        hidden = torch.cat([hidden, coarse.transpose(1, 2)], dim=1) if each_layer else hidden
    published = head.predictor(hidden)
    chosen = torch.arange(4) % classes
    expected = published[torch.arange(4), chosen]
    assert head.project is not None
    with torch.no_grad():
        projected = head.project(fine)
        for given, done in ((fine, False), (projected, True)):
            torch.testing.assert_close(head.predict(given, coarse, chosen, projected=done), expected)
    predicted = head.predict(fine, coarse, chosen)
    torch.testing.assert_close(predicted, expected)
    parameters = dict(head.named_parameters())
    for parameter in (parameters[name] for name in ("fc1.weight", "fc3.bias", "predictor.weight")):
        gradients = (
            torch.autograd.grad(each.square().sum(), parameter, retain_graph=True)[0] for each in (predicted, expected)
        )
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rectified_features_are_relus(dtype: torch.dtype) -> None:
    values = torch.tensor([-torch.inf, -3.0, -1e-6, -0.0, 0.0, 1e-6, 3.0, torch.inf]).to(dtype).repeat(4, 1)
    with torch.no_grad():
        assert torch.equal(_rectified(values.clone()), values.relu())
    learned = torch.tensor([-3.0, 3.0], dtype=dtype, requires_grad=True)
    _rectified(learned * 1).sum().backward()
    assert learned.grad is not None
    assert learned.grad.tolist() == [0, 1]
