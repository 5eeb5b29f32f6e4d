import type { Error as ErrorBody } from "./api.js";

export type ErrorCode = ErrorBody["error"]["code"] | "bad_response" | "unreachable";

/** A request that the server refused, or that did not reach it. */
export class PointRendError extends Error {
  override readonly name = "PointRendError";

  constructor(
    message: string,
    /** A stable identifier, such as `image_too_large`. */
    readonly code: ErrorCode,
    /** The HTTP status; 0 where no answer came. */
    readonly status: number,
    /** Which part of the request is at fault, such as `score_threshold`. */
    readonly field?: string,
    /** What is allowed. */
    readonly limit?: unknown,
    /** What was sent. */
    readonly value?: unknown,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The error of an answer that is not 200. */
export async function failure(response: Response): Promise<PointRendError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as ErrorBody;
    if (typeof error.code === "string" && typeof error.message === "string") {
      return new PointRendError(error.message, error.code, response.status, error.field, error.limit, error.value);
    }
  } catch {
    // Not the API's own form: something between us and the server answered.
  }
  const said = text.slice(0, 200).trim();
  return new PointRendError(
    `The server answered ${response.status}${said ? `: ${said}` : ""}.`,
    "bad_response",
    response.status,
  );
}
