"""An object's colours at its edge are known where object and background are mixed by a known alpha."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from pointrend.masks.alpha import soft_alpha
from pointrend.visualize import foreground as module
from pointrend.visualize.foreground import foreground

SIZE = (120, 90)
RED, BLUE = np.array([230, 40, 30]), np.array([20, 60, 220])


def disc(size: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    inside: NDArray[np.bool_] = (rows - size[0] / 2) ** 2 + (columns - size[1] / 2) ** 2 < (min(size) / 3) ** 2
    return inside


def mixed(front: NDArray[np.float64], behind: NDArray[np.float64], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = alpha[..., None] / 255
    return np.asarray(share * front + (1 - share) * behind + 0.5, np.uint8)


def test_the_old_background_is_gone_from_the_edge() -> None:
    alpha = soft_alpha(disc(SIZE))
    image = mixed(np.broadcast_to(RED, (*SIZE, 3)), np.broadcast_to(BLUE, (*SIZE, 3)), alpha)
    edge = (alpha > 0) & (alpha < 255)
    before, after = (np.abs(each[edge] - RED.astype(int)).mean() for each in (image, foreground(image, alpha)))
    assert before > 60
    assert after < before / 4


def test_colour_and_alpha_make_the_photo_again_before_its_old_background() -> None:
    random = np.random.default_rng(0)
    shade = np.linspace(-30, 30, SIZE[1])[None, :, None]
    front, behind = RED + shade + random.normal(0, 4, (*SIZE, 3)), BLUE - shade + random.normal(0, 4, (*SIZE, 3))
    alpha = soft_alpha(disc(SIZE))
    image = mixed(front.clip(0, 255), behind.clip(0, 255), alpha)
    again = mixed(foreground(image, alpha).astype(float), behind.clip(0, 255), alpha).astype(int)
    assert np.abs(again - image)[alpha > 0].mean() < 3


def test_inside_are_the_images_colours_and_outside_is_nothing() -> None:
    image = np.random.default_rng(0).integers(1, 256, (*SIZE, 3), np.uint8)
    before = image.copy()
    alpha = soft_alpha(disc(SIZE))
    colours = foreground(image, alpha)
    np.testing.assert_array_equal(colours[alpha == 255], image[alpha == 255])
    assert not colours[alpha == 0].any()
    np.testing.assert_array_equal(image, before)


def test_one_colour_stays_one() -> None:
    """Also where there is no pixel of the object alone, as in a line of one pixel."""
    mask = np.zeros(SIZE, bool)
    mask[40, 10:60] = mask[7:9, 7:9] = True
    alpha = soft_alpha(mask)
    colours = foreground(np.full((*SIZE, 3), 77, np.uint8), alpha)
    assert (colours[alpha > 0] == 77).all()


def test_tiles_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    alpha = soft_alpha(np.random.default_rng(1).random(SIZE) < 0.5)
    whole = foreground(image, alpha)
    monkeypatch.setattr(module, "_TILE", 32)
    np.testing.assert_array_equal(foreground(image, alpha), whole)


def test_memory_is_that_of_the_result() -> None:
    size = (3000, 4000)
    image, alpha = np.zeros((*size, 3), np.uint8), soft_alpha(disc(size))
    tracemalloc.start()
    foreground(image, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * image.nbytes
