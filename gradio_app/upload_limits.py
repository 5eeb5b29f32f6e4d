"""What uploads to the page may cost."""

from __future__ import annotations

from dataclasses import dataclass

from gradio_app.rates import Rate
from pointrend.images.limits import ImageLimits

MIB = 1024 * 1024
BY_HAND = Rate(per_minute=60, burst=30)  # nobody chooses photos faster
BY_ADDRESS = Rate(per_minute=300, burst=100)  # a school, or a script that asks for one photo after the other


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits of one page.

    Attributes:
        file_bytes: size of a file.
        folder_bytes: size of all uploads together. With the results it stays well under a container's usual /tmp.
        result_bytes: size of all results together; a drawn photo of 50 million pixels may have 150 MB.
        kept_seconds: age at which a file is deleted.
        visitor_rate: uploads of one browser.
        network_rate: uploads of one address.
        at_once: uploads that one address may have under way.
        idle_seconds: an upload that sends nothing for so long is given up.
    """

    file_bytes: int = ImageLimits().max_bytes
    folder_bytes: int = 128 * MIB
    result_bytes: int = 224 * MIB
    kept_seconds: float = 600
    visitor_rate: Rate = BY_HAND
    network_rate: Rate = BY_ADDRESS
    at_once: int = 16
    idle_seconds: float = 30
