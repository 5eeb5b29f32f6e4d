"""What is counted of requests, whichever server counts it: names, meanings and histogram buckets."""

from __future__ import annotations

IMAGES = "pointrend_images_total"
INSTANCES = "pointrend_instances_total"
ERRORS = "pointrend_errors_total"
STAGES = ("decode", "inference", "encode", "reply")

DESCRIPTIONS = {
    IMAGES: "images segmented, by `task` and `format`",
    INSTANCES: "instances or segments in those responses",
    ERRORS: "requests that failed, by error `code`",
    "pointrend_decode_seconds": "histogram: reading the request and decoding the image",
    "pointrend_inference_seconds": "histogram: resizing, network and mask logits",
    "pointrend_encode_seconds": "histogram: pasting and encoding masks",
    "pointrend_reply_seconds": "histogram: writing the JSON, PNG or zip",
}
"""What is counted, for people."""


def stage_metric(stage: str) -> str:
    """The histogram of one of :data:`STAGES`.

    >>> stage_metric("decode")
    'pointrend_decode_seconds'
    """
    return f"pointrend_{stage}_seconds"
