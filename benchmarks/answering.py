"""This project's own model as a program that `alternatives.py` can ask.

    python benchmarks/answering.py MODEL ENGINE

Reads lines ``{"photo": path, "objects": n}`` and answers each with ``{"objects": found, "bytes": length}``: the JPEG is
decoded, segmented, and the n best objects are written as JSON, masks as run lengths, as the server answers them. The
model keeps detections of any score, so that every photo has a hundred.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pointrend.bench.subjects import open_model
from pointrend.config.schema import InstanceConfig, OneStageConfig
from pointrend.images.decode import decode
from pointrend.inference.loading import load
from pointrend.structures.options import Options
from pointrend.system.memory import MemoryLimit
from pointrend.weights.convert import convert

THREADS = 2


def any_score(config: InstanceConfig) -> InstanceConfig:
    """The same network, whose detections need no score."""
    if isinstance(config, OneStageConfig):
        return replace(config, head=replace(config.head, score_threshold=0.0))
    return replace(config, box_head=replace(config.box_head, score_threshold=0.0))


def main(model: str, engine: str) -> None:
    """Answer until the input ends."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = open_model(model, Path(scratch))
        keeps_all = convert(folder.weights, any_score(folder.config), Path(scratch) / "any-score", folder.info)
        segment = load(keeps_all.path, engine=engine, threads=THREADS)
    MemoryLimit()  # as in every process of ours that predicts
    for line in sys.stdin:
        asked = json.loads(line)
        options = Options(score_threshold=0.0, max_detections=asked["objects"], categories=("all",))
        found = segment(decode(Path(asked["photo"]).read_bytes()), options)
        answer = json.dumps(found.to_dict(), separators=(",", ":"))
        print(json.dumps({"objects": len(found.instances), "bytes": len(answer)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
