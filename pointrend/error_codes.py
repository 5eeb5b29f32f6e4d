"""Every error code that a caller may meet, in one table: what answers with it, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "the model"
GATEWAY = "the gateway"
SERVER = "TorchServe, told by the gateway or the client"
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code.

    Attributes:
        code: as ``error.code`` spells it.
        status: the HTTP status.
        also: another status that TorchServe gives to the same.
        origin: who finds it: :data:`MODEL` and :data:`GATEWAY` (with nginx, in the container) answer with our JSON; of
            :data:`SERVER`'s bare answers the gateway, and without one the client, makes the same; :data:`CLIENT` finds
            it where nothing that makes sense has answered.
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
    ErrorCode("invalid_form", 400, GATEWAY, "the form cannot be read: a boundary, a name, an encoding; it says which"),
    ErrorCode("unknown_charset", 400, GATEWAY, "a form, a part of one or JSON declares a charset that is not read"),
    ErrorCode("foreign_origin", 403, GATEWAY, "another site's page asks (`Origin`), and no secret is asked for here"),
    ErrorCode("not_found", 404, GATEWAY, "there is no such path"),
    ErrorCode("method_not_allowed", 405, GATEWAY, "the path is answered with other methods, which `Allow` names"),
    ErrorCode("upload_too_slow", 408, GATEWAY, "the headers or the body did not arrive in time"),
    ErrorCode("path_too_long", 414, GATEWAY, "the path has more than 8 KiB"),
    ErrorCode("unsupported_media_type", 415, GATEWAY, "a form of another kind than `multipart/form-data`"),
    ErrorCode("expectation_failed", 417, GATEWAY, "`Expect` asks for something else than `100-continue`"),
    ErrorCode("unknown_host", 421, GATEWAY, "`Host` is no name of this server, and no secret is asked for here"),
    ErrorCode("too_many_uploads", 429, GATEWAY, "this address sends too many bodies at a time; try again"),
    ErrorCode("rate_limited", 429, GATEWAY, "this address asks too often, or holds too many connections; try again"),
    ErrorCode("headers_too_long", 431, GATEWAY, "the headers have more than 32 KiB"),
    ErrorCode("disk_full", 503, GATEWAY, "the server's disk is full; it goes on by itself once there is room"),
    ErrorCode(
        "invalid_token",
        400,
        SERVER,
        "400 `InvalidKeyException`: the token is missing, wrong or has expired; 401 in the container",
        also=401,
    ),
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
    ErrorCode("timeout", 504, SERVER, "no answer in time: the server's `responseTimeout`, or the client's own"),
    ErrorCode(
        "bad_response", 502, CLIENT, "what answered is no PointRend server, or its answer is malformed or too large"
    ),
)
