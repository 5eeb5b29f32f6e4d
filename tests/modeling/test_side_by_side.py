"""Work on threads of its own: all of it is done, as the calling thread would, and PyTorch's settings stay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pointrend.config.schema import CoarseMaskConfig, PointHeadConfig
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead
from pointrend.modeling.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def seen_by_work(pieces: int) -> list[tuple[int, int, bool, bool]]:
    """By piece: its thread, PyTorch's threads in it, and whether gradients and inference mode are on."""
    seen: dict[int, tuple[int, int, bool, bool]] = {}

    def look(piece: int) -> None:
        state = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        seen[piece] = threading.get_ident(), torch.get_num_threads(), *state

    side_by_side(look, range(pieces))
    return [seen[piece] for piece in range(pieces)]


@pytest.mark.parametrize("inference", [True, False])
def test_each_piece_has_one_thread_and_the_callers_mode(inference: bool) -> None:
    with torch.inference_mode() if inference else torch.no_grad():
        assert torch.get_num_threads() == 2
        for thread, *state in seen_by_work(5):
            assert thread != threading.get_ident()
            assert state == [1, False, inference]
        assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:  # a thread that first uses PyTorch now
        assert later.submit(torch.get_num_threads).result() == 2


def test_two_pieces_are_worked_on_at_once() -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(_: int) -> None:
        both.wait()

    with torch.inference_mode():
        side_by_side(meet, range(2))


def test_gradients_one_piece_or_one_thread_stay_in_the_calling_thread() -> None:
    here = threading.get_ident()
    assert seen_by_work(2) == [(here, 2, True, False)] * 2
    with torch.inference_mode():
        assert seen_by_work(1) == [(here, 2, False, True)]
        torch.set_num_threads(1)
        assert seen_by_work(2) == [(here, 1, False, True)] * 2
        assert seen_by_work(0) == []


def test_work_may_itself_have_pieces() -> None:
    done: list[int] = []
    with torch.inference_mode():
        side_by_side(lambda piece: side_by_side(lambda each: done.append(10 * piece + each), range(2)), range(1, 4))
    assert sorted(done) == [10, 11, 20, 21, 30, 31]


def test_what_work_raises_is_raised() -> None:
    def fail(piece: int) -> None:
        raise ValueError(f"piece {piece}")

    with torch.inference_mode(), pytest.raises(ValueError, match="piece 0"):
        side_by_side(fail, range(2))
    with torch.inference_mode():
        assert len(seen_by_work(3)) == 3  # the threads go on


@pytest.mark.parametrize("agnostic", [False, True])
def test_masks_do_not_depend_on_the_number_of_threads(agnostic: bool) -> None:
    torch.manual_seed(0)
    head = PointRendMaskHead(
        8, 3, CoarseMaskConfig(conv_dim=8, fc_dim=16), PointHeadConfig(fc_dim=16), class_agnostic=agnostic
    ).eval()
    corners = torch.rand(19, 2) * 60
    boxes = torch.cat([corners, corners + 4 + torch.rand(19, 2) * 60], dim=1)
    regions = {"p2": torch.randn(1, 8, 32, 32)}, boxes, torch.arange(19) % 3
    with torch.inference_mode():
        together = head(*regions, 3)
        torch.set_num_threads(1)
        assert torch.equal(head(*regions, 3), together)
        alone = torch.cat([head(regions[0], box[None], kind[None], 3) for box, kind in zip(*regions[1:], strict=True)])
    torch.testing.assert_close(together, alone)
