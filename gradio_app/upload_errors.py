"""What the page says of a file that it does not take."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError, ServerError

NOT_UPLOADED = (
    "Only an image that you uploaded to this page can be used here, no other path and no URL: upload the image, and "
    "send the path that the page answers with."
)


def not_uploaded() -> RequestError:
    """One answer for whatever is not the caller's, so that it does not tell which files exist."""
    return InvalidRequest(NOT_UPLOADED, field="image", code="not_uploaded")


def expired(kept_seconds: float) -> RequestError:
    """The caller's upload is deleted already."""
    return RequestError(
        f"This upload has expired (uploads are kept for {kept_seconds / 60:g} minutes at most); "
        "upload the image again.",
        field="image",
        limit=kept_seconds,
        code="upload_expired",
        status=410,
    )


def too_large(limit: int, value: int | None = None) -> RequestError:
    """More bytes than ``limit``; ``value`` where it is known how many."""
    said = "The image is too large" if value is None else f"The image has {value} bytes"
    return ImageTooLarge(f"{said}; at most {limit} bytes are accepted.", field="image", limit=limit, value=value)


def too_many(message: str, *, wait: int | None = None) -> RequestError:
    """Uploads come faster than the page takes them; ``wait`` seconds help."""
    return RequestError(message, field="files", value=wait, code="rate_limited", status=429)


def full() -> RequestError:
    """No file can be stored."""
    return ServerError("The server's disk is full; try again in a few minutes.", code="storage_full", status=507)


@contextmanager
def storing() -> Iterator[None]:
    """Turn what goes wrong with the page's own disk into a sentence.

    Raises:
        ServerError: the disk is full, or fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise full() from error
        raise ServerError("The page could not store a file; try again.", code="storage_failed") from error
