"""Independent work of one prediction side by side, each piece on one thread.

PyTorch divides each operation among its threads, which then wait for each other. Refining many masks is thousands of
short operations: as pieces that each have a thread of their own, the threads wait once, at the end, which takes less
processor time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier, Lock
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
_STARTED_S = 60.0
_making = Lock()


def side_by_side(work: Callable[[Piece], None], pieces: Sequence[Piece]) -> None:
    """Do the work on every piece, on as many threads as PyTorch has in the calling one.

    With one thread, one piece, or gradients, the calling thread does it all. Whatever is done, PyTorch's modes other
    than inference (autocast, counters of operations) hold in the calling thread only.

    Args:
        work: may run several times at once. What it raises is raised here.
        pieces: of work, the first ones begun first.
    """
    threads = min(torch.get_num_threads(), len(pieces))
    if threads < 2 or torch.is_grad_enabled():
        for piece in pieces:
            work(piece)
        return
    inference = torch.is_inference_mode_enabled()

    def on_thread(piece: Piece) -> None:
        with torch.inference_mode() if inference else torch.no_grad():
            work(piece)

    with _making:
        workers = _workers(torch.get_num_threads(), os.getpid())
    for _ in workers.map(on_thread, pieces):
        pass


@cache
def _workers(count: int, _process: int) -> ThreadPoolExecutor:
    """Threads in each of which PyTorch uses no other ones; a forked process has none of its parent's."""
    workers = ThreadPoolExecutor(count, "pointrend-pieces")
    started = Barrier(count)

    def start(_: int) -> None:
        torch.get_num_threads()  # by which a thread takes the number that holds for new ones: not after it has its own
        torch.set_num_threads(1)  # of this thread, and of all that first use PyTorch later
        started.wait(_STARTED_S)

    list(workers.map(start, range(count)))
    torch.set_num_threads(count)  # for the latter
    return workers
