"""Every error code that a caller may meet, in one table: what answers with it, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "the model"
SERVER = "TorchServe, read by the client"
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code.

    Attributes:
        code: as ``error.code`` spells it.
        status: the HTTP status.
        also: another status that TorchServe gives to the same.
        origin: who finds it: :data:`MODEL` answers with our JSON; of :data:`SERVER`'s bare answers the client makes the
            same; :data:`CLIENT` finds it where nothing that makes sense has answered.
        meaning: one sentence.
    """

    code: str
    status: int
    origin: str
    meaning: str
    also: int | None = None


ERROR_CODES = (
    ErrorCode("missing_image", 400, MODEL, "the request carries no image, or an empty one"),
    ErrorCode("duplicate_image", 400, MODEL, "it carries two"),
    ErrorCode("invalid_request", 400, MODEL, "the part `image` is no file, or `describe` and `health` carry more"),
    ErrorCode("invalid_json", 400, MODEL, "the body is declared as JSON and is none, or no object"),
    ErrorCode("invalid_base64", 400, MODEL, "in JSON, `image` is not base64"),
    ErrorCode("invalid_options_header", 400, MODEL, "`X-PointRend-Options` is not URL-encoded, or names one twice"),
    ErrorCode("duplicate_option", 400, MODEL, "an option stands in the request and in the header"),
    ErrorCode("unsupported_encoding", 415, MODEL, "the body is compressed (`Content-Encoding`)"),
    ErrorCode("image_too_large", 413, MODEL, "the image has too many bytes or pixels, or too long a side"),
    ErrorCode("response_too_large", 413, MODEL, "the answer would be larger than the server sends; it says what helps"),
    ErrorCode("unsupported_image", 415, MODEL, "no image that we read, or damaged, or cut short"),
    ErrorCode("unknown_option", 422, MODEL, "there is no such option; the nearest one is suggested"),
    ErrorCode("invalid_option", 422, MODEL, "an option is out of range"),
    ErrorCode("unknown_category", 422, MODEL, "the model knows no such category"),
    ErrorCode("unsupported_combination", 422, MODEL, "that format, or this model, cannot answer the task"),
    ErrorCode("missing_mask_head", 422, MODEL, "the model does not carry the mask head, or it refines no points"),
    ErrorCode("internal_error", 500, MODEL, "the model failed on this request; the log has the request id"),
    ErrorCode("invalid_token", 400, SERVER, "400 `InvalidKeyException`: the token is missing, wrong or has expired"),
    ErrorCode("model_not_found", 404, SERVER, "404 `ModelNotFoundException`: no model of that name is served"),
    ErrorCode("request_too_large", 413, SERVER, "413 with an empty body: over `max_request_size`; gRPC: CANCELLED"),
    ErrorCode(
        "worker_died",
        500,
        SERVER,
        "500 `Worker died.`, or 507 where it was killed, as for want of memory: the worker ended on this batch and is "
        "restarted",
        also=507,
    ),
    ErrorCode("overloaded", 503, SERVER, "503: the queue is full, or no worker runs yet; try again"),
    ErrorCode("unreadable_photo", 400, CLIENT, "of many photos, this one's file or array cannot be read"),
    ErrorCode("bad_key_file", 400, CLIENT, "the key file that was named is missing, or none of TorchServe's"),
    ErrorCode("server_down", 503, CLIENT, "nothing listens there, or the connection broke"),
    ErrorCode("timeout", 504, CLIENT, "no answer within the client's time"),
    ErrorCode(
        "bad_response", 502, CLIENT, "what answered is no PointRend server, or its answer is malformed or too large"
    ),
)
