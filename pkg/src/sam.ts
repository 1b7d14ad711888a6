import { type DeviceChoice, type DeviceKind } from "./device.js";
import { dispose } from "./dispose.js";
import { TinySamError, throwIfAborted } from "./errors.js";
import type { EngineAnswer, LogLine } from "./fal/endpoint.js";
import { Host } from "./host.js";
import { SamImage } from "./image.js";
import { discard, prepareSource, transferables } from "./source.js";
import type { ImageSource, Progress, WeightsSource } from "./types.js";
import { prepareWeights } from "./weights.js";

/** How to load the model. */
export interface LoadOptions {
  /** Where the weights come from. Default: the official checkpoint, {@link DEFAULT_WEIGHTS}. */
  readonly weights?: WeightsSource;
  /** What the SHA-256 of the weights must be, in hex; checked on download and on every read from the cache. */
  readonly sha256?: string;
  /** Where to run. Default `auto`: WebGPU on a real GPU, else the CPU. */
  readonly device?: "auto" | DeviceKind;
  /** The side at which the network sees pictures, a multiple of 64 from 64 to 1024. Default 1024. */
  readonly size?: number;
  /** Run in a Web Worker, so that the page never waits. Default true. */
  readonly worker?: boolean;
  /** Keep downloaded weights in the browser's Cache API. Default true. */
  readonly cache?: boolean;
  readonly signal?: AbortSignal;
  /** Called as loading goes on. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How to embed one picture. */
export interface EmbedOptions {
  /** Overrides {@link LoadOptions.size} for this picture. */
  readonly size?: number;
  readonly signal?: AbortSignal;
}

/** The model, loaded on a device. Calls run one after another, in the order in which they were made. */
export class TinySam {
  readonly #host: Host;
  readonly #size: number;

  private constructor(host: Host, size: number) {
    this.#host = host;
    this.#size = size;
  }

  /**
   * Chooses a device, starts the engine and loads the weights.
   *
   * @throws `checkpoint_…` for weights that cannot be had or read, `device_unavailable`, `option_invalid`,
   * `out_of_memory`, `unsupported` where there is no browser around, `aborted`
   */
  static async load(options: LoadOptions = {}): Promise<TinySam> {
    const { weights, sha256, device = "auto", size = 1024, worker = true, cache = true, signal, onProgress } = options;
    checkSize(size);
    if (typeof globalThis.WebAssembly === "undefined" || typeof globalThis.MessageChannel === "undefined") {
      throw new TinySamError("unsupported", "there is no WebAssembly here: tinysam runs in a browser");
    }
    const prepared = await prepareWeights(weights, sha256, onProgress, signal);
    const host = new Host({ preference: device, inWorker: worker, weights: prepared, cache });
    await host.start(onProgress, signal);
    return new TinySam(host, size);
  }

  /** Where the model runs, and why there. */
  get device(): DeviceChoice {
    return this.#host.device;
  }

  /** SHA-256 of the checkpoint in use, in hex. */
  get checkpointSha256(): string {
    return this.#host.checkpointSha256;
  }

  /**
   * Bytes of WebAssembly memory that the engine has: since such memory never shrinks, the most that it has needed.
   * The answer comes when the engine has done with what it is at. What lies on a GPU, weights and embeddings above
   * all, is not in it: browsers do not tell.
   *
   * @throws `released`, `crashed`
   */
  async memory(): Promise<number> {
    return (await this.#host.start()).connection.call("memory", {});
  }

  /**
   * Runs the encoder on a picture. After a crash this starts a fresh engine with the weights loaded again.
   *
   * @throws `image_unreachable`, `image_invalid`, `image_too_large`, `option_invalid`, `aborted`, `released`,
   * `crashed`, `device_lost`, `out_of_memory`
   */
  async embed(source: ImageSource, options: EmbedOptions = {}): Promise<SamImage> {
    const { size = this.#size, signal } = options;
    checkSize(size);
    throwIfAborted(signal);
    // Pixels are taken now, not when the turn comes: a canvas or video may have moved on by then.
    const preparing = prepareSource(source);
    const drop = () => void preparing.then(discard, () => undefined);
    preparing.catch(() => undefined);
    return this.#host.lane.run({
      start: async () => {
        const image = await preparing;
        let posted = false;
        try {
          const { connection } = await this.#host.start();
          throwIfAborted(signal);
          const reply = connection.call("embed", { source: image, size }, { transfer: transferables(image), signal });
          posted = true;
          return new SamImage(this.#host.lane, connection, await reply);
        } catch (error) {
          if (!posted) discard(image);
          throw tainted(error) ?? error;
        }
      },
      signal,
      discard: (image) => image.free(),
      dropped: drop,
    });
  }

  /**
   * Answers a request to fal's endpoint: reads it, embeds its picture, runs what it asks for and draws the result.
   * @internal
   */
  async answer(input: unknown, image: Blob | undefined, options: { signal: AbortSignal; onLog: (line: LogLine) => void }): Promise<EngineAnswer> {
    const { signal, onLog } = options;
    return this.#host.lane.run({
      start: async () => {
        const { connection } = await this.#host.start();
        throwIfAborted(signal);
        return connection.call("answer", { input, image }, { signal, onEvent: onLog });
      },
      signal,
    });
  }

  /** Ends the engine: its images and masks are gone, and all memory with them. */
  free(): void {
    this.#host.release();
  }

  [dispose](): void {
    this.free();
  }
}

function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 64 || size > 1024 || size % 64 !== 0) {
    throw new TinySamError("option_invalid", `size must be a multiple of 64 from 64 to 1024, not ${size}`);
  }
}

/** Pixels of another origin, shown without CORS, may not leave the element that shows them. */
function tainted(error: unknown): TinySamError | undefined {
  if (!(error instanceof DOMException) || error.name !== "DataCloneError") return undefined;
  return new TinySamError(
    "image_unreachable",
    "this picture comes from another origin that has not allowed reading it: load it with crossorigin=\"anonymous\", or give its bytes",
    { cause: error },
  );
}
