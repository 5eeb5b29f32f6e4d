from __future__ import annotations

import torch

from pointrend.training.mask_targets import grid_targets, read_masks


def square(side: int, x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[0, y0:y1, x0:x1] = True
    return mask


def test_reading_is_bilinear_between_pixel_centres() -> None:
    mask = square(8, 2, 0, 8, 8)
    boxes = torch.tensor([[0.0, 0, 8, 8]])
    points = torch.tensor([[[1.5, 4.0], [2.0, 4.0], [2.25, 4.0], [2.5, 4.0], [7.5, 4.0]]]) / 8
    torch.testing.assert_close(
        read_masks(mask, torch.tensor([0]), boxes, points), torch.tensor([[0.0, 0.5, 0.75, 1.0, 1.0]])
    )


def test_outside_the_crop_there_is_no_object() -> None:
    boxes = torch.tensor([[-8.0, 0, 8, 8]])
    points = torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    assert read_masks(square(8, 0, 0, 8, 8), torch.tensor([0]), boxes, points).tolist() == [[0.0, 1.0]]


def test_each_region_reads_its_own_mask() -> None:
    masks = torch.cat([square(8, 0, 0, 4, 8), square(8, 4, 0, 8, 8)])
    boxes = torch.tensor([[0.0, 0, 8, 8]]).expand(2, 4)
    targets = grid_targets(masks, torch.tensor([1, 0]), boxes, 2)
    assert targets.tolist() == [[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]]


def test_a_cell_needs_half_of_its_area() -> None:
    boxes = torch.tensor([[0.0, 0, 16, 16]])
    assert grid_targets(square(16, 0, 0, 9, 16), torch.tensor([0]), boxes, 1).item() == 1
    assert grid_targets(square(16, 0, 0, 6, 16), torch.tensor([0]), boxes, 1).item() == 0


def test_targets_agree_with_area_averages() -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 1, 5, 5, generator=generator)
    mask = torch.nn.functional.interpolate(coarse, size=(56, 56), mode="bilinear")[0] > 0.5
    exact = torch.nn.functional.avg_pool2d(mask[None].float(), 8)[0]
    found = grid_targets(mask, torch.tensor([0]), torch.tensor([[0.0, 0, 56, 56]]), 7)
    clear = (exact - 0.5).abs() > 0.1
    assert bool((found == (exact >= 0.5).float())[clear].all())
    assert float(clear.float().mean()) > 0.8
