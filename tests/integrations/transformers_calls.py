"""Calls transformers' own ``ImageSegmentationPipeline`` and ours alike, and prints what each returns, as JSON.

A program, so that the library and its settings stay out of the process of the tests: ``python transformers_calls.py
PHOTO``, with transformers in ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

SUBTASKS = ("instance", "semantic")


def described(result: Any) -> Any:
    """What a result is made of: types, and of masks the mode, the size and whether they are 0 and 255 only."""
    if isinstance(result, Image.Image):
        values = {value for _, value in result.getcolors()}
        return [result.mode, list(result.size), values <= {0, 255}]
    if isinstance(result, dict):
        return {key: described(value) for key, value in result.items()}
    if isinstance(result, list):
        parts = [described(each) for each in result]
        return ["list", *[each for place, each in enumerate(parts) if each not in parts[:place]]]
    if isinstance(result, Iterator):
        return ["iterator", described(list(result))]
    return type(result).__name__


class Photos(Dataset[dict[str, str]]):
    """A data set of one photo, twice."""

    def __init__(self, photo: str) -> None:
        self._photo = photo

    def __len__(self) -> int:
        return 2

    def __getitem__(self, _index: int) -> dict[str, str]:
        return {"image": self._photo}


def calls(pipe: Any, photo: str, subtask: str) -> dict[str, Any]:
    from transformers.pipelines.pt_utils import KeyDataset

    forms = {
        "path": photo,
        "picture": Image.open(photo),
        "list": [photo, photo],
        "list of one": [Image.open(photo)],
        "generator": (each for each in (photo, photo)),
        "data set": KeyDataset(Photos(photo), "image"),
    }
    return {name: described(pipe(form, subtask=subtask, threshold=0.0)) for name, form in forms.items()}


def tiny() -> Any:
    """A Mask2Former of random weights, which finds something everywhere."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig
    from transformers.models.mask2former.image_processing_pil_mask2former import Mask2FormerImageProcessorPil
    from transformers.pipelines import ImageSegmentationPipeline

    torch.manual_seed(0)
    stages = [f"stage{number}" for number in range(1, 5)]
    trunk = SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, out_features=stages
    )
    config = Mask2FormerConfig(
        backbone_config=trunk,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=8,
        num_labels=3,
    )
    processor = Mask2FormerImageProcessorPil(size={"height": 64, "width": 64})
    return ImageSegmentationPipeline(
        model=Mask2FormerForUniversalSegmentation(config).eval(), image_processor=processor
    )


def main(photo: str, semantic_model: str) -> None:
    from pointrend.integrations.huggingface import pipeline

    theirs = tiny()
    ours = {
        "instance": pipeline("image-segmentation", model="demo"),
        "semantic": pipeline("image-segmentation", model=semantic_model),
    }
    told = {
        subtask: {"theirs": calls(theirs, photo, subtask), "ours": calls(ours[subtask], photo, subtask)}
        for subtask in SUBTASKS
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
