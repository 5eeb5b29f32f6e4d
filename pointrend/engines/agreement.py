"""How many pixels of photos a semantic network still gives the same class once its parts are quantised.

An error of the features' values, which every part is checked for, does not tell: one large channel hides what became
of all others, and between classes that are nearly tied a small one decides. So the classes themselves are compared.

Shapes: H, W of the photo in pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pointrend.engines import BF16, EAGER
from pointrend.engines.calibration import network_input
from pointrend.engines.part import Part, Run
from pointrend.errors import InaccurateExport
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.structures.options import FULL_REFINEMENT

MOST_PHOTOS = 6  # each is segmented twice
LEAST_ALIKE = 0.9  # of the pixels of all photos


def check_classes(
    network: SemanticPointRend, parts: Sequence[Part], runs: Sequence[Run], paths: Sequence[Path]
) -> None:
    """See that a semantic network answers about what it should with its parts quantised.

    Args:
        network: in evaluation mode, computed by plain PyTorch; left as it is.
        parts: its own.
        runs: the same, quantised.
        paths: of photos, at least one; :data:`MOST_PHOTOS` evenly chosen ones are looked at.

    Raises:
        InaccurateExport: fewer than :data:`LEAST_ALIKE` of the pixels keep their classes.
        ConfigError: a photo cannot be read.
    """
    fast = copy.deepcopy(network)
    for part, run in zip(parts, runs, strict=True):
        part.install(fast, run)
    count = min(len(paths), MOST_PHOTOS)
    alike = pixels = 0
    for path in (paths[index * len(paths) // count] for index in range(count)):
        same = _classes(network, path) == _classes(fast, path)
        alike, pixels = alike + int(same.sum()), pixels + same.numel()
    if alike < LEAST_ALIKE * pixels:
        raise InaccurateExport(
            f"only {alike / pixels:.1%} of the pixels of {count} photos would keep their classes; the limit is "
            f"{LEAST_ALIKE:.0%}. Choose the engine {EAGER} or {BF16}, or calibrate with photos such as the model "
            "is for (pointrend archive --calibrate FOLDER)."
        )


@torch.inference_mode()
def _classes(network: SemanticPointRend, path: Path) -> Tensor:
    """(H, W), of the photo as the network takes it, without padding."""
    images, size = network_input(path, network)
    return network.classify(images, size, size, FULL_REFINEMENT)
