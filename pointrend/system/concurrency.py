"""Work in threads: so many items at a time, results in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_concurrency(concurrency: int) -> None:
    """Refuse a number of requests at a time that is none.

    Raises:
        ValueError: below 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}.")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], concurrency: int) -> Iterator[Result]:
    """Apply a function to items in threads, ``concurrency`` at a time; results come in the order of the items.

    Items are taken as they are needed: at most twice ``concurrency`` are held at any time.
    """
    check_concurrency(concurrency)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == 2 * concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
