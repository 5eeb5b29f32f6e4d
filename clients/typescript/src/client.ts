import type {
  Description,
  DetectionPrediction,
  InstancesPrediction,
  Options,
  SemanticPrediction,
} from "./api.js";
import { failure, PointRendError } from "./errors.js";

export type Image = Blob | ArrayBuffer | Uint8Array;
/** What `predict` may be asked for; the client sets `format` itself. */
export type PredictOptions = Omit<Options, "format">;
export type Prediction<O extends PredictOptions = PredictOptions> = O extends { task: "semantic" }
  ? SemanticPrediction
  : O extends { task: "detection" }
    ? DetectionPrediction
    : O extends { task: string }
      ? InstancesPrediction | DetectionPrediction | SemanticPrediction
      : InstancesPrediction;
export type Picture = "png" | "cutouts" | "label_map" | "uncertainty";

export interface ClientSettings {
  /** The name under which the server serves the model. */
  model?: string;
  /** The server's secret. */
  token?: string;
  /** How often an overloaded server is asked again. */
  retries?: number;
  /** Milliseconds before the first retry, doubled each time. */
  firstWait?: number;
  /** Milliseconds; a `Retry-After` beyond it ends the retries. */
  longestWait?: number;
  /** In place of the global one. */
  fetch?: typeof fetch;
}

const OVERLOADED = new Set([429, 503]);

/** Asks a server for predictions: `new Client("http://127.0.0.1:8080")`. */
export class Client {
  private readonly address: URL;
  private readonly settings: Required<Omit<ClientSettings, "token">> & { token: string | undefined };

  constructor(url: string, settings: ClientSettings = {}) {
    const { model = "pointrend", retries = 4, firstWait = 250, longestWait = 30_000, token } = settings;
    this.address = new URL(`predictions/${encodeURIComponent(model)}`, url.endsWith("/") ? url : `${url}/`);
    this.settings = { model, retries, firstWait, longestWait, token, fetch: settings.fetch ?? fetch };
  }

  /**
   * Find the objects of an image file.
   *
   * @throws PointRendError with `code`, `field`, `limit` and `value`; the signal's reason once it is aborted.
   */
  async predict<const O extends PredictOptions = Record<never, never>>(
    image: Image,
    options?: O,
    signal?: AbortSignal,
  ): Promise<Prediction<O>> {
    const response = await this.ask(image, { ...options, format: "json" }, signal);
    return (await json(response)) as Prediction<O>;
  }

  /** The same as a picture (PNG), or, for `cutouts`, as a zip of pictures; errors as of `predict`. */
  async render(image: Image, format: Picture, options?: PredictOptions, signal?: AbortSignal): Promise<Blob> {
    return (await this.ask(image, { ...options, format }, signal)).blob();
  }

  /** What the model says of itself: categories, tasks, limits; errors as of `predict`. */
  async describe(signal?: AbortSignal): Promise<Description> {
    return (await json(await this.send(JSON.stringify({ describe: true }), {}, signal))) as Description;
  }

  private ask(image: Image, options: Options, signal: AbortSignal | undefined): Promise<Response> {
    const form = new FormData();
    form.set("image", image instanceof Blob ? image : new Blob([image as BlobPart]), "image");
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined) form.set(name, typeof value === "object" ? asText(name, value) : String(value));
    }
    return this.send(form, {}, signal);
  }

  private async send(body: FormData | string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    const { token, retries, fetch: send } = this.settings;
    if (token) headers["Authorization"] = `Bearer ${token}`;
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    for (let attempt = 0; ; attempt++) {
      let response: Response;
      try {
        response = await send(this.address, { method: "POST", body, headers, signal: signal ?? null });
      } catch (error) {
        signal?.throwIfAborted();
        throw new PointRendError(`${this.address.origin} cannot be reached.`, "unreachable", 0, undefined, undefined, undefined, {
          cause: error,
        });
      }
      if (response.ok) return response;
      const pause = OVERLOADED.has(response.status) && attempt < retries ? this.pause(attempt, response) : undefined;
      const error = await failure(response);
      if (pause === undefined) throw error;
      await sleep(pause, signal);
    }
  }

  /** Milliseconds before the next try: what the server says, and a random time that spreads its clients. */
  private pause(attempt: number, response: Response): number | undefined {
    const { firstWait, longestWait } = this.settings;
    const said = Number(response.headers.get("Retry-After") ?? 0) * 1000 || 0;
    if (said > longestWait) return undefined;
    return said + Math.random() * Math.min(longestWait, firstWait * 2 ** attempt);
  }
}

/** Lists of categories as a form field has them; boxes as JSON. */
function asText(name: string, value: object): string {
  return name === "categories" && Array.isArray(value) ? value.join(",") : JSON.stringify(value);
}

async function json(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    throw new PointRendError("The server's answer is not JSON.", "bad_response", response.status, undefined, undefined, undefined, {
      cause: error,
    });
  }
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
