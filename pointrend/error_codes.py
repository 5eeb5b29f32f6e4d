"""Every error code that a caller may meet, in one table: where it comes from and what it means."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "the model"
GATEWAY = "the gateway"
SERVER = "TorchServe, mapped by gateway or client"
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code.

    Attributes:
        code: as ``error.code`` spells it.
        status: the HTTP status.
        also: another status that TorchServe gives to the same.
        origin: where it comes from. :data:`MODEL` and :data:`GATEWAY` (with nginx, in the container) respond with this
            project's JSON. Errors of :data:`SERVER` have another form, which the gateway, or without one the client,
            maps to the same. :data:`CLIENT` raises its own where no usable response came.
        meaning: one sentence.
    """

    code: str
    status: int
    origin: str
    meaning: str
    also: int | None = None


ERROR_CODES = (
    ErrorCode("missing_image", 400, MODEL, "the request carries no image, or an empty one"),
    ErrorCode("duplicate_image", 400, MODEL, "the request carries two images"),
    ErrorCode("invalid_request", 400, MODEL, "`image` is not a file, or `describe` or `health` is not alone"),
    ErrorCode("invalid_json", 400, MODEL, "the body is declared as JSON but is not valid JSON, or not an object"),
    ErrorCode("invalid_base64", 400, MODEL, "`image` in a JSON body is not valid base64"),
    ErrorCode("invalid_options_header", 400, MODEL, "`X-PointRend-Options` is not URL-encoded, or repeats an option"),
    ErrorCode("duplicate_option", 400, MODEL, "an option is both in the body and in the header"),
    ErrorCode("unsupported_encoding", 415, MODEL, "the body is compressed (`Content-Encoding`)"),
    ErrorCode("image_too_large", 413, MODEL, "the image has too many bytes or pixels, or a side is too long"),
    ErrorCode("response_too_large", 413, MODEL, "larger than `max_response_bytes`; the message says how to shrink it"),
    ErrorCode("unsupported_image", 415, MODEL, "not an image in a supported format, or damaged, or truncated"),
    ErrorCode("unknown_option", 422, MODEL, "no such option; the message suggests the closest name"),
    ErrorCode("invalid_option", 422, MODEL, "an option is out of range"),
    ErrorCode("too_many_tiles", 422, MODEL, "`tiles` is too small for the image's size; the message says what fits"),
    ErrorCode("unknown_category", 422, MODEL, "the model has no such category"),
    ErrorCode("unsupported_combination", 422, MODEL, "the format or the model does not support the task"),
    ErrorCode("missing_mask_head", 422, MODEL, "the model lacks the mask head, or does not refine points"),
    ErrorCode("internal_error", 500, MODEL, "the model failed on this request; look up the request id in the log"),
    ErrorCode("invalid_form", 400, GATEWAY, "the form cannot be parsed; the message names the part"),
    ErrorCode("unknown_charset", 400, GATEWAY, "the form, a part of it or the JSON declares an unsupported charset"),
    ErrorCode("foreign_origin", 403, GATEWAY, "sent by a page of another site (`Origin`) to a server without a secret"),
    ErrorCode("not_found", 404, GATEWAY, "no such path"),
    ErrorCode("method_not_allowed", 405, GATEWAY, "the path does not support the method; `Allow` lists those it does"),
    ErrorCode("upload_too_slow", 408, GATEWAY, "the headers or the body took too long to arrive"),
    ErrorCode("path_too_long", 414, GATEWAY, "the path is longer than 8 KiB"),
    ErrorCode("unsupported_media_type", 415, GATEWAY, "a form that is not `multipart/form-data`"),
    ErrorCode("expectation_failed", 417, GATEWAY, "`Expect` is not `100-continue`"),
    ErrorCode("unknown_host", 421, GATEWAY, "`Host` does not name this server, and the server has no secret"),
    ErrorCode("image_url_refused", 422, GATEWAY, "`image_url` is off, not a URL, or not from an allowed origin"),
    ErrorCode("image_url_failed", 424, GATEWAY, "the server of `image_url` cannot be reached, or does not deliver"),
    ErrorCode("too_many_uploads", 429, GATEWAY, "too many uploads from this address at once; retry later"),
    ErrorCode("rate_limited", 429, GATEWAY, "too many requests or connections from this address; retry later"),
    ErrorCode("headers_too_long", 431, GATEWAY, "the headers are longer than 32 KiB"),
    ErrorCode("disk_full", 503, GATEWAY, "the server's disk is full; it recovers once there is space"),
    ErrorCode("server_restarting", 503, GATEWAY, "TorchServe ended and is restarted; retry after `Retry-After`"),
    ErrorCode(
        "invalid_token",
        400,
        SERVER,
        "the token is missing, wrong or expired (TorchServe: 400 `InvalidKeyException`; the container: 401)",
        also=401,
    ),
    ErrorCode("model_not_found", 404, SERVER, "no model of that name is served (`ModelNotFoundException`)"),
    ErrorCode(
        "request_too_large", 413, SERVER, "larger than `max_request_size` (TorchServe: an empty body; gRPC: CANCELLED)"
    ),
    ErrorCode(
        "worker_died",
        500,
        SERVER,
        "the worker died on this batch and is being restarted (TorchServe: 500 `Worker died.`, or 507 where it was "
        "killed, for instance for lack of memory)",
        also=507,
    ),
    ErrorCode("overloaded", 503, SERVER, "the queue is full, or no worker is ready yet; retry later (TorchServe: 503)"),
    ErrorCode("unreadable_photo", 400, CLIENT, "`segment_many` or `predict` could not read this file or array"),
    ErrorCode("bad_key_file", 400, CLIENT, "the given key file is missing, or not one of TorchServe's"),
    ErrorCode("server_down", 503, CLIENT, "the connection was refused or broke"),
    ErrorCode("timeout", 504, SERVER, "no response within the server's `responseTimeout` or the client's `timeout`"),
    ErrorCode("bad_response", 502, CLIENT, "the response is malformed or too large, or not from a PointRend server"),
)
