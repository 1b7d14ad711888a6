import { EMBED, LOAD, RESTORE, type EmbedOptions, type LoadOptions, type RestoreOptions } from "./calls.js";
import type { Connection } from "./connection.js";
import { checkWorkers } from "./crew.js";
import type { DeviceChoice } from "./device.js";
import { dispose } from "./dispose.js";
import { TinySamError, tainted, throwIfAborted } from "./errors.js";
import type { EngineAnswer, LogLine } from "./fal/endpoint.js";
import { SamImage } from "./image.js";
import { kindOf } from "./kinds.js";
import { Lease } from "./lease.js";
import { requireEngine } from "./oldest.js";
import { checkNames } from "./options.js";
import { numbers } from "./prompts.js";
import type { EmbeddingRecord } from "./protocol.js";
import { orAborted } from "./signals.js";
import { discard, isLoading, prepareSource, transferables, type PostableImage } from "./source.js";
import type { Box, ImageSource, ModelName, Numbers } from "./types.js";
import { prepareWeights } from "./weights.js";

/** The model, loaded on a device. Calls run one after another, in the order in which they were made. */
export class TinySam {
  readonly #lease: Lease;
  readonly #size: number;

  private constructor(lease: Lease, size: number) {
    this.#lease = lease;
    this.#size = size;
  }

  /** Frameworks make a proxy of no object but those that are plain. */
  get [Symbol.toStringTag](): string {
    return "TinySam";
  }

  /**
   * Chooses a device, starts the engine and loads the weights. Loads of the same settings (all but `size`; the same URL,
   * the same Blob, not the same bytes) share one engine, which takes one call after another, and ends when all of them
   * are freed or forgotten.
   *
   * @throws `checkpoint_unreachable`, `checkpoint_hash`, `checkpoint_invalid` and `checkpoint_mismatch` for weights
   * that cannot be had, read or used, `device_unavailable`, `device_lost`, `option_invalid`, `out_of_memory`,
   * `unsupported` where there is no browser around or the page forbids it, `module_unreachable`, `aborted`
   */
  static async load(options: LoadOptions = {}): Promise<TinySam> {
    checkNames<LoadOptions>(options, LOAD, "the options of load");
    const { weights, sha256, model, device = "auto", size = 1024, worker = true, workers, assets, cache = true, signal, onProgress } = options;
    checkSize(size);
    checkModel(model);
    checkWorkers(workers);
    requireEngine();
    const prepared = await prepareWeights(weights, sha256, onProgress, signal);
    const lease = await Lease.take({ preference: device, worker, workers, assets, weights: prepared, model, cache }, onProgress, signal);
    return new TinySam(lease, size);
  }

  /** Where the model runs, and why there. */
  get device(): DeviceChoice {
    return this.#lease.host.device;
  }

  /** SHA-256 of the checkpoint in use, in hex. */
  get checkpointSha256(): string {
    return this.#lease.host.checkpointSha256;
  }

  /**
   * Bytes of WebAssembly memory that the engine has in all its workers: since such memory never shrinks, the most that it
   * has needed. The answer comes when the engine has done with what it is at. What lies on a GPU, weights and embeddings
   * above all, is not in it: browsers do not tell. Nor are the pixels of photos, three bytes each, which lie outside and are
   * given back with the last of an image and its masks.
   *
   * @throws `released`, `crashed`
   */
  async memory(): Promise<number> {
    this.#lease.check();
    return this.#lease.host.memory();
  }

  /**
   * Runs the encoder on a picture. After a crash this starts a fresh engine with the weights loaded again.
   *
   * @throws `image_unreachable`, `image_invalid`, `image_too_large`, `pixels_protected`, `unsupported` where nothing
   * decodes pictures, `option_invalid`, `aborted`, `released`, `crashed`, `device_lost`, `out_of_memory`
   */
  async embed(source: ImageSource, options: EmbedOptions = {}): Promise<SamImage> {
    checkNames<EmbedOptions>(options, EMBED, "the options of embed");
    const { size = this.#size, signal } = options;
    checkSize(size);
    const crop = plainCrop(options.crop);
    throwIfAborted(signal);
    // Pixels are taken now, not when the turn comes: a canvas or video may have moved on by then.
    const preparing = prepareSource(source);
    if (isLoading(source)) await this.#come(preparing, signal);
    return this.#open(preparing, signal, (connection, image) =>
      connection.call("embed", { source: image, size, crop }, { transfer: transferables(image), signal }),
    );
  }

  /**
   * An image from the bytes that {@link SamImage.toBytes} gave, here or elsewhere, or `Embedding::to_bytes` in a native
   * program: for the checkpoint that made it, on whatever device, at whatever size it was made.
   *
   * @throws `embedding_invalid`, `embedding_mismatch` for another checkpoint, or a photo of other sides; of the photo what
   * {@link embed} throws
   */
  async restore(bytes: ArrayBuffer | Uint8Array | Blob, options: RestoreOptions = {}): Promise<SamImage> {
    checkNames<RestoreOptions>(options, RESTORE, "the options of restore");
    const { photo, signal } = options;
    throwIfAborted(signal);
    const saved = copyOf(bytes);
    const preparing = photo === undefined ? Promise.resolve(undefined) : prepareSource(photo);
    if (photo !== undefined && isLoading(photo)) await this.#come(preparing, signal);
    // First the bytes: where they cannot be read, the photo is let go.
    const both = saved.then(
      () => preparing,
      (error: unknown) => {
        drop(preparing);
        throw error;
      },
    );
    return this.#open(both, signal, async (connection, image) => {
      const bytes = await saved;
      const transfer = [bytes.buffer, ...(image === undefined ? [] : transferables(image))];
      return connection.call("restore", { bytes, photo: image }, { transfer, signal });
    });
  }

  /** Waits for a picture that is still loading before its turn comes: nobody else is to wait for one that never does. */
  async #come(preparing: Promise<PostableImage | undefined>, signal: AbortSignal | undefined): Promise<void> {
    try {
      await orAborted(this.#lease.orReleased(preparing), signal);
    } catch (error) {
      drop(preparing);
      throw error;
    }
  }

  /** An image by a call that gets a prepared picture, which is freed if the call never comes to be. */
  #open<Picture extends PostableImage | undefined>(
    preparing: Promise<Picture>,
    signal: AbortSignal | undefined,
    call: (connection: Connection, picture: Picture) => Promise<EmbeddingRecord>,
  ): Promise<SamImage> {
    preparing.catch(() => undefined);
    return this.#lease.host.lane.run({
      start: async () => {
        let posted = false;
        try {
          const picture = await orAborted(this.#lease.orReleased(preparing), signal);
          const { connection } = await this.#start();
          throwIfAborted(signal);
          const reply = call(connection, picture);
          posted = true;
          return new SamImage(this.#lease, connection, await reply);
        } catch (error) {
          if (!posted) drop(preparing);
          throw error instanceof DOMException && error.name === "DataCloneError" ? unsendable(await preparing, error) : error;
        }
      },
      signal,
      discard: (image) => image.free(),
      dropped: () => drop(preparing),
    });
  }

  /** The live engine. */
  async #start(): ReturnType<Lease["host"]["start"]> {
    this.#lease.check();
    return this.#lease.host.start();
  }

  /**
   * Answers a request to fal's endpoint: reads it, embeds its picture, runs what it asks for and draws the result.
   * @internal
   */
  async answer(input: unknown, image: Blob | undefined, options: { signal: AbortSignal; onLog: (line: LogLine) => void }): Promise<EngineAnswer> {
    const { signal, onLog } = options;
    return this.#lease.host.lane.run({
      start: async () => {
        const { connection } = await this.#start();
        throwIfAborted(signal);
        return connection.call("answer", { input, image }, { signal, onEvent: onLog });
      },
      signal,
    });
  }

  /** Lets go of the engine, and with it of its images and masks. With the last that holds it it ends, and its memory is free. */
  free(): void {
    this.#lease.release();
  }

  [dispose](): void {
    this.free();
  }
}

/** Frees a picture that nobody takes any more, when it has come. */
function drop(preparing: Promise<PostableImage | undefined>): void {
  void preparing.then((picture) => picture !== undefined && discard(picture), () => undefined);
}

/** Why a picture cannot be sent to the engine: its pixels are another origin's, or it is no picture but a proxy of one. */
function unsendable(picture: PostableImage | undefined, cause: DOMException): TinySamError {
  const kind = kindOf(picture);
  if (kind === "ImageBitmap" || kind === "VideoFrame") return tainted(cause);
  return new TinySamError("image_invalid", `this ${kind} cannot be sent to the engine (${cause.message}): if it is a proxy, give what is behind it (Vue: toRaw)`, { cause });
}

function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 64 || size > 1024 || size % 64 !== 0) {
    throw new TinySamError("option_invalid", `size must be a multiple of 64 from 64 to 1024, not ${size}`);
  }
}

function checkModel(model: ModelName | undefined): void {
  if (model !== undefined && model !== "tinysam" && model !== "mobilesam") {
    throw new TinySamError("option_invalid", `model must be "tinysam" or "mobilesam", not "${String(model)}"`);
  }
}

/** A copy of a crop; where it lies, the engine checks, which knows the picture's sides. */
function plainCrop(crop: Box | Numbers | undefined): Box | undefined {
  if (crop === undefined) return undefined;
  const [x, y, width, height, ...more] = numbers(crop) ?? [];
  if (x === undefined || y === undefined || width === undefined || height === undefined || more.length > 0) {
    throw new TinySamError("option_invalid", "crop must be [x, y, width, height], four numbers");
  }
  return [x, y, width, height];
}

/** A copy of saved bytes, whatever holds them. */
async function copyOf(bytes: ArrayBuffer | Uint8Array | Blob): Promise<Uint8Array<ArrayBuffer>> {
  const kind = kindOf(bytes);
  if (kind === "Blob" || kind === "File") return new Uint8Array(await (bytes as Blob).arrayBuffer().catch(unread));
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();
  if (kind === "ArrayBuffer" || kind === "SharedArrayBuffer") return new Uint8Array(bytes as ArrayBuffer).slice();
  throw new TinySamError("embedding_invalid", "a saved image is an ArrayBuffer, a Uint8Array or a Blob");
}

function unread(cause: unknown): never {
  throw new TinySamError("embedding_invalid", `this file cannot be read (${String(cause)}): was it moved or changed? Choose it again`, { cause });
}
