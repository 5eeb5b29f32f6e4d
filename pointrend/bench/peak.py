"""What the machine's matrix products reach, to hold a network's speed against.

An m x n x k product counts as 2mnk operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pointrend.modeling.instance_network import InstanceNetwork

SIDE = 2048
REPEATS = 5


def peaks(device: str = "cpu") -> dict[str, float]:
    """Operations a second of square matrix products by number format: ``f32``, ``bf16`` and ``int8`` (sums in int32).

    The best of :data:`REPEATS` each, with torch's own threads. A format without a product on the device is left out.
    """
    wide = torch.randn(SIDE, SIDE, device=device)
    narrow = wide.bfloat16()
    small = (wide * 40).clamp(-127, 127).to(torch.int8)
    products: dict[str, Callable[[], Tensor]] = {
        "f32": lambda: wide @ wide,
        "bf16": lambda: narrow @ narrow,
        "int8": lambda: torch._int_mm(small, small),  # noqa: SLF001  # PyTorch has no public one
    }
    reached = {}
    for name, product in products.items():
        try:
            product()
        except (RuntimeError, NotImplementedError):
            continue
        reached[name] = 2 * SIDE**3 / min(_seconds(product, device) for _ in range(REPEATS))
    return reached


def best(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """The better of two measurements of each format: what disturbed one may have been gone at the other."""
    return {name: max(reached, second[name]) for name, reached in first.items()}


def _seconds(product: Callable[[], Tensor], device: str) -> float:
    started = time.perf_counter()
    product()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def trunk_operations(network: InstanceNetwork, images: Tensor) -> int:
    """Operations of a network's trunk on images (1, 3, H, W), computed by plain PyTorch."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.trunk(images)
    return int(counter.get_total_flops())
