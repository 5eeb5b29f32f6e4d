"""On one GPU: PointRend in several precisions and batch sizes, beside torchvision's Mask R-CNN.

    python benchmarks/gpu.py [--rounds 10] [--batch 1 --batch 4 ...] [--json FILE] [--markdown FILE]

All networks are ResNet-50 with a feature pyramid, their weights random: times do not depend on them. Measured is the
same stretch of each, from normalised pixels on the GPU to mask logits of ten regions a photo: the trunk sees the whole
batch, and what looks at single regions each photo by itself, except in torchvision, which puts them together. Ways
take turns, round by round; told are medians and quartiles, photos a second, and the most memory that was allocated.
Without a GPU, or without torchvision, that is said, what cannot be measured is left out, and the exit status is 0.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pointrend.bench.subjects import boxes, open_model, picture
from pointrend.engines import half
from pointrend.engines.network import open_network
from pointrend.engines.parts import parts
from pointrend.images.decode import decode
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.rcnn import RCNN
from pointrend.modeling.roi_heads.box_head import select_detections
from pointrend.weights.folder import ModelFolder

MODEL = "random:coco-r50-3x"
SIDE, WIDTH = 800, 1088  # a photo's edges
INSTANCES = 10  # whose masks are drawn, a photo
BATCHES = (1, 2, 4, 8, 16)
WARM_UP = 3  # rounds in which kernels are chosen and compiled
HEADER = ("way", "batch", "ms a batch", "quartiles", "photos a second", "memory, MiB")

Run = Callable[[Tensor], object]  # normalised images (N, 3, H, W) to whatever


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way and batch size: seconds a batch, and the most memory that was allocated, in MiB; None off a GPU."""

    way: str
    batch: int
    median: float
    lower: float
    upper: float
    memory_mib: float | None


def masks_of_batch(network: RCNN, images: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Mask logits of :data:`INSTANCES` regions of every image, everything before them computed as for a photo.

    Args:
        network: on the images' device.
        images: (N, 3, H, W), normalised.
        size: height and width before padding.
    """
    features, anchor_logits, anchor_offsets = network.trunk(images)
    regions = boxes(INSTANCES, *size).to(images.device)
    classes = torch.arange(INSTANCES, device=images.device) % network.config.num_classes
    masks = []
    for index in range(len(images)):
        this = slice(index, index + 1)
        own = {level: each[this] for level, each in features.items()}
        logits, offsets = ([each[this] for each in maps] for maps in (anchor_logits, anchor_offsets))
        proposals = network.proposal_generator.propose(logits, offsets, size).boxes
        class_logits, box_offsets = network.roi_heads(own, proposals)
        select_detections(class_logits, box_offsets, proposals, size, network.config.box_head)
        masks.append(network.mask_logits(own, regions, classes))
    return masks


def ways(folder: ModelFolder, size: tuple[int, int], device: str, *, compiled: bool) -> dict[str, Run]:
    """This project's ways to compute a batch, each with a network of its own.

    Args:
        folder: of the model.
        size: height and width of the photos before padding.
        device: where the networks go.
        compiled: whether there is one whose trunk torch.compile prepares.
    """
    made: dict[str, Run] = {}
    precisions = {"float32": None, "bfloat16": torch.bfloat16, "float16 (engine cuda)": torch.float16}
    if compiled:
        precisions["float16, compiled trunk"] = torch.float16
    for name, dtype in precisions.items():
        network = open_network(folder)
        assert isinstance(network, RCNN)  # of the model that is measured
        network.to(device)
        if dtype is not None:
            half.install(network, parts(network), dtype)
        if "compiled" in name:
            network.trunk = torch.compile(network.trunk, dynamic=False)
        made[name] = partial(masks_of_batch, network, size=size)
    return made


def torchvision_way(size: tuple[int, int], device: str) -> Run:
    """torchvision's maskrcnn_resnet50_fpn over the same stretch, with as many masks a photo.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: it is for another PyTorch.
    """
    # optional: only to compare with, and broken beside another PyTorch than its own
    from torchvision.models.detection import maskrcnn_resnet50_fpn
    from torchvision.models.detection.image_list import ImageList

    # Random weights are sure of nothing: every box passes, and the best ten are kept.
    model = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, box_score_thresh=0.0, box_detections_per_img=INSTANCES
    )
    model.eval().to(device)

    def run(images: Tensor) -> object:
        listed = ImageList(images, [size] * len(images))
        features = model.backbone(images)
        proposals, _ = model.rpn(listed, features)
        return model.roi_heads(features, proposals, listed.image_sizes)

    return run


def measure(runs: dict[str, Run], image: Tensor, batch: int, rounds: int) -> list[Figures]:
    """Let all ways take turns with a batch of copies of an image (1, 3, H, W)."""
    images = image.expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    on_gpu = image.device.type == "cuda"
    seconds: dict[str, list[float]] = {way: [] for way in runs}
    memory: dict[str, float] = {}
    with torch.inference_mode():
        for turn in range(WARM_UP + rounds):
            for way, run in runs.items():
                if on_gpu:
                    torch.cuda.synchronize()
                    torch.cuda.reset_peak_memory_stats()
                started = time.perf_counter()
                run(images)
                if on_gpu:
                    torch.cuda.synchronize()
                    memory[way] = torch.cuda.max_memory_allocated() / 2**20
                if turn >= WARM_UP:
                    seconds[way].append(time.perf_counter() - started)
    figures = []
    for way, each in seconds.items():
        lower, median, upper = (float(value) for value in np.percentile(each, (25, 50, 75)))
        figures.append(Figures(way, batch, median, lower, upper, memory.get(way)))
    return figures


def cells(figures: Figures) -> tuple[str, ...]:
    """A row of text under :data:`HEADER`."""
    return (
        figures.way,
        str(figures.batch),
        f"{figures.median * 1000:.1f}",
        f"{figures.lower * 1000:.1f}-{figures.upper * 1000:.1f}",
        f"{figures.batch / figures.median:.1f}",
        "-" if figures.memory_mib is None else f"{figures.memory_mib:.0f}",
    )


def markdown(figures: Sequence[Figures], told: str) -> str:
    """A sentence and a table."""
    rows = [HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *map(cells, figures)]
    return "\n".join([told, "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Of each way and batch size.")] = 10,
    batch: Annotated[list[int] | None, typer.Option(min=1, max=256, help="Photos at a time.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table there too.")] = None,
) -> None:
    """Measure and tell."""
    console = Console(soft_wrap=True)
    if not torch.cuda.is_available():
        console.print(f"PyTorch {torch.__version__} sees no GPU here: nothing was measured.")
        return
    with tempfile.TemporaryDirectory(prefix="pointrend-cuda-") as scratch:
        folder = open_model(MODEL, Path(scratch))
        config = folder.network
        image, size = to_input(resize(decode(picture(SIDE, WIDTH)), config), config)
        runs = ways(folder, size, "cuda", compiled=True)
    try:
        runs["torchvision Mask R-CNN, float32"] = torchvision_way(size, "cuda")
    except (ImportError, RuntimeError) as error:
        console.print(f"torchvision is left out: {error}", markup=False)
    figures = [each for count in batch or BATCHES for each in measure(runs, image.cuda(), count, rounds)]
    told = (
        f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}; R50-FPN at {size[0]}x{size[1]}, {INSTANCES} "
        f"masks a photo, {rounds} rounds."
    )
    table = Table(*HEADER)
    for each in figures:
        table.add_row(*cells(each))
    console.print(told)
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps({"told": told, "figures": [asdict(each) for each in figures]}, indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(figures, told), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
