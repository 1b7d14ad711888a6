import { EVERYTHING, SAVE, SEGMENT, type EverythingRunOptions, type SaveOptions } from "./calls.js";
import type { Connection } from "./connection.js";
import { dispose } from "./dispose.js";
import { TinySamError } from "./errors.js";
import { Everything, type EverythingProgress } from "./everything.js";
import type { Held, Lease } from "./lease.js";
import { Mask } from "./mask.js";
import { checkNames, defined } from "./options.js";
import { plainPrompts, type PlainPrompt } from "./prompts.js";
import type { BatchRecord, EmbeddingId, EmbeddingRecord, MaskId, MaskRecord } from "./protocol.js";
import { toCoco, toGeoJSON, toLabelme, toYolo, type Coco, type CocoOptions, type GeoJSONMasks, type Labelme, type RecordOptions } from "./records.js";
import { follow } from "./signals.js";
import type { Box, LayersKind, Owned, Prompt, SegmentOptions } from "./types.js";

/** A picture that the encoder has seen: as many prompts as one likes, each for a fraction of its price. */
export class SamImage {
  /** Sides of the original image, in pixels, after its EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** The side at which the network saw it. */
  readonly size: number;
  /** What of it the network saw, in pixels of the original image: the whole, unless `embed` was told otherwise. */
  readonly crop: Box;

  readonly #lease: Lease;
  readonly #connection: Connection;
  readonly #id: EmbeddingId;
  readonly #held: Held;
  #freed = false;

  /** @internal */
  constructor(lease: Lease, connection: Connection, record: EmbeddingRecord) {
    this.width = record.width;
    this.height = record.height;
    this.size = record.size;
    this.crop = record.crop;
    this.#lease = lease;
    this.#connection = connection;
    this.#id = record.id;
    this.#held = lease.keep(this, () => connection.freeEmbedding(record.id));
  }

  /** Frameworks make a proxy of no object but those that are plain. */
  get [Symbol.toStringTag](): string {
    return "SamImage";
  }

  /**
   * Segments what the prompt points at. One mask, or one for each of `boxes`; with `multimask` three in the
   * place of each.
   *
   * @throws `prompt_invalid`, `aborted`, `superseded`, `released`, `crashed`, `device_lost`, `out_of_memory`
   */
  segment(prompt: Prompt, options?: SegmentOptions): Promise<Mask[]>;
  /**
   * Segments several objects in one call: for each prompt, of whatever kind, the masks that it alone would have given,
   * in the prompts' order. All are checked before the first is decoded.
   */
  segment<const Prompts extends readonly Prompt[]>(prompts: Prompts, options?: SegmentOptions): Promise<{ -readonly [Place in keyof Prompts]: Mask[] }>;
  async segment(asked: Prompt | readonly Prompt[], options: SegmentOptions = {}): Promise<Mask[] | Mask[][]> {
    checkNames<SegmentOptions>(options, SEGMENT, "the options of segment");
    if (!isList(asked)) return this.#segment(plainPrompts(asked), undefined, options);
    const prompts = Array.from(asked, plainPrompts);
    const masks = await this.#segment(prompts.flat(), undefined, options);
    return prompts.map((each) => masks.splice(0, each.reduce((sum, prompt) => sum + masksOf(prompt), 0)));
  }

  /**
   * Segments everything in the picture by the paper's hierarchical grid: a coarse grid of points, then a finer
   * one where the first left doubts. Iterate for masks as they come; the final set is its `masks`.
   *
   * Both fail with `option_invalid`, `aborted`, `released`, `crashed`, `device_lost`, `out_of_memory`.
   *
   * @throws `option_invalid` for an option that there is not
   */
  everything(options: EverythingRunOptions = {}): Everything {
    checkNames<EverythingRunOptions>(options, EVERYTHING, "the options of everything");
    const { signal, onProgress, ...rest } = options;
    const stop = new AbortController();
    const stopped = stop.signal;
    const part = follow(stop, signal);
    const run = (onBatch: (masks: Mask[], progress: EverythingProgress) => void): Promise<Mask[]> => {
      const onEvent = ({ masks, done, total }: BatchRecord) => {
        // Batches on their way when the run was stopped are nobody's.
        if (stopped.aborted) return this.#freeRecords(masks);
        // The masks first: what the caller's function throws must not lose them.
        onBatch(this.#masks(masks), { done, total });
        onProgress?.({ done, total });
      };
      return this.#run(
        () => this.#connection.call("everything", { embedding: this.#id, options: defined(rest) }, { signal: stopped, onEvent }),
        (records) => this.#masks(records),
        { signal: stopped },
      ).finally(part);
    };
    return new Everything(run, () => stop.abort());
  }

  /**
   * The image as bytes, for {@link TinySam.restore}: kept, or sent, it need not be encoded again. The photo is not in it.
   *
   * @throws `option_invalid`, `released`, `crashed`, `device_lost`
   */
  async toBytes(options: SaveOptions = {}): Promise<Owned<Uint8Array>> {
    checkNames<SaveOptions>(options, SAVE, "the options of toBytes");
    const { precision = "f16" } = options;
    this.#check();
    return this.#lease.host.lane.run({ start: () => this.#connection.call("save", { embedding: this.#id, precision }) });
  }

  /**
   * Which mask each pixel is of: its number, from 1 in the order given, or 0; the smallest where several overlap.
   * Row-major, at original size.
   *
   * @throws `option_invalid` for a mask of another engine, `released`, `crashed`
   */
  async toLabelMap(masks: readonly Mask[]): Promise<Owned<Uint16Array>> {
    return this.#connection.call("labels", { embedding: this.#id, masks: this.#ids(masks) });
  }

  /**
   * A PNG of several masks at original size, the same bytes each time.
   *
   * @throws as {@link toLabelMap}; `option_invalid` for a picture with the photo in it of an image that was restored
   * without its photo
   */
  async toBlob(masks: readonly Mask[], kind: LayersKind = "overlay"): Promise<Blob> {
    const png = await this.#connection.call("layers", { embedding: this.#id, masks: this.#ids(masks), kind });
    return new Blob([png], { type: "image/png" });
  }

  /**
   * A file of COCO's with these masks, to be written as JSON. Masks of nothing are left out.
   *
   * @throws `option_invalid`, `released`, `crashed`
   */
  toCoco(masks: readonly Mask[], options: CocoOptions = {}): Promise<Coco> {
    return toCoco(this, masks, options);
  }

  /** GeoJSON with these masks, in pixels, y down. Otherwise as {@link toCoco}. */
  toGeoJSON(masks: readonly Mask[], options: RecordOptions = {}): Promise<GeoJSONMasks> {
    return toGeoJSON(masks, options);
  }

  /** A file of labelme's with these masks, to be written as JSON beside the photo. Otherwise as {@link toCoco}. */
  toLabelme(masks: readonly Mask[], options: RecordOptions = {}): Promise<Labelme> {
    return toLabelme(this, masks, options);
  }

  /** The lines of a label file for YOLO's segmentation, one a mask. Otherwise as {@link toCoco}. */
  toYolo(masks: readonly Mask[], options: RecordOptions = {}): Promise<string> {
    return toYolo(this, masks, options);
  }

  /** Frees the embedding. Masks made from it live on, but can no longer be refined. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#held.free();
  }

  [dispose](): void {
    this.free();
  }

  /** `from`: the mask itself, not its number, for one that nobody holds is freed before its turn has come. */
  async #segment(prompts: readonly PlainPrompt[], from: Mask | undefined, options: SegmentOptions): Promise<Mask[]> {
    this.#check();
    if (prompts.length === 0) return [];
    const of = prompts.flatMap((prompt) => Array.from({ length: masksOf(prompt) }, () => prompt));
    return this.#run(
      () => {
        const refine = from === undefined ? {} : { refine: from.idFor(this.#connection) };
        return this.#connection.call("segment", { embedding: this.#id, prompts, ...refine }, { signal: options.signal });
      },
      (records) => records.map((record, i) => this.#mask(record, of[i] ?? NO_PROMPT)),
      options,
    );
  }

  #run<T>(
    call: () => Promise<readonly MaskRecord[]>,
    wrap: (records: readonly MaskRecord[]) => T,
    { signal, latest }: SegmentOptions,
  ): Promise<T> {
    return this.#lease.host.lane
      .run({
        start: () => {
          this.#check();
          return call();
        },
        signal,
        discard: (records) => this.#freeRecords(records),
        latest: latest === true ? this : undefined,
      })
      .then(wrap);
  }

  #check(): void {
    if (this.#freed) throw new TinySamError("released", "this image was freed: embed it again");
    this.#lease.check();
  }

  #ids(masks: readonly Mask[]): MaskId[] {
    this.#check();
    return masks.map((mask) => {
      const id = mask.idFor(this.#connection);
      if (mask.width === this.width && mask.height === this.height) return id;
      throw new TinySamError("option_invalid", `a mask of ${mask.width}×${mask.height} is of another picture than this of ${this.width}×${this.height}`);
    });
  }

  #mask(record: MaskRecord, prompt: PlainPrompt): Mask {
    return new Mask(this.#lease, this.#connection, record, prompt, (from, refined, options) => this.#segment([refined], from, options));
  }

  #masks(records: readonly MaskRecord[]): Mask[] {
    return records.map((record) => {
      const { point } = record;
      return this.#mask(record, point === undefined ? NO_PROMPT : { ...NO_PROMPT, points: [point], labels: [1] });
    });
  }

  #freeRecords(records: readonly MaskRecord[]): void {
    for (const { id } of records) this.#connection.freeMask(id);
  }
}

const NO_PROMPT: PlainPrompt = { points: [], labels: [], multimask: false };

function masksOf({ multimask }: PlainPrompt): number {
  return multimask ? 3 : 1;
}

function isList(asked: Prompt | readonly Prompt[]): asked is readonly Prompt[] {
  return typeof asked === "object" && asked !== null && Symbol.iterator in asked;
}
