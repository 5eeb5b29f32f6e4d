"""This project's own model as a program that `alternatives.py` can ask.

    python benchmarks/answering.py MODEL ENGINE

Reads lines ``{"photo": path, "objects": n, "exact": false}`` and answers each with ``{"objects": found, "bytes":
length}``: the JPEG is decoded, segmented, and the n best objects are written as JSON, masks as run lengths, as the
server answers them. A photo with a hundred detections of the lowest score that the model reports shows what a hundred
cost.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pointrend.bench.subjects import open_model
from pointrend.images.decode import decode
from pointrend.inference.loading import load
from pointrend.structures.options import Options
from pointrend.system.memory import MemoryLimit

THREADS = 2


def main(model: str, engine: str) -> None:
    """Answer until the input ends."""
    with tempfile.TemporaryDirectory() as scratch:
        segment = load(open_model(model, Path(scratch)).path, engine=engine, threads=THREADS)
    MemoryLimit()  # as in every process of ours that predicts
    for line in sys.stdin:
        asked = json.loads(line)
        options = Options(
            score_threshold=0.0,
            max_detections=asked["objects"],
            categories=("all",),
            exact=asked["exact"],
        )
        found = segment(decode(Path(asked["photo"]).read_bytes()), options)
        answer = json.dumps(found.to_dict(), separators=(",", ":"))
        print(json.dumps({"objects": len(found.instances), "bytes": len(answer)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
