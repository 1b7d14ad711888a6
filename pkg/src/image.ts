import type { Connection } from "./connection.js";
import { dispose } from "./dispose.js";
import { TinySamError } from "./errors.js";
import { Everything, type EverythingProgress } from "./everything.js";
import type { Lane } from "./lane.js";
import { Mask } from "./mask.js";
import type { BatchRecord, EmbeddingId, EmbeddingRecord, MaskId, MaskRecord } from "./protocol.js";
import type { EverythingOptions, LayersKind, Prompt } from "./types.js";

/** Frees embeddings that were forgotten; a safety net, for collection may come late or never. */
const forgotten = new FinalizationRegistry<{ connection: Connection; id: EmbeddingId }>(({ connection, id }) =>
  connection.freeEmbedding(id),
);

/** How to run one prompt. */
export interface SegmentOptions {
  readonly signal?: AbortSignal;
  /**
   * Newest wins, for prompts that follow a pointer: if another such prompt of this image still waits, it is
   * rejected with `superseded`, and no queue builds up.
   */
  readonly latest?: boolean;
}

/** How to run `everything`. */
export interface EverythingRunOptions extends EverythingOptions {
  readonly signal?: AbortSignal;
  /** Called after each batch of points. */
  readonly onProgress?: (progress: EverythingProgress) => void;
}

/** A picture that the encoder has seen: as many prompts as one likes, each for a fraction of its price. */
export class SamImage {
  /** Sides of the original image, in pixels, after its EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** The side at which the network saw it. */
  readonly size: number;

  readonly #lane: Lane;
  readonly #connection: Connection;
  readonly #id: EmbeddingId;
  #freed = false;

  /** @internal */
  constructor(lane: Lane, connection: Connection, record: EmbeddingRecord) {
    this.width = record.width;
    this.height = record.height;
    this.size = record.size;
    this.#lane = lane;
    this.#connection = connection;
    this.#id = record.id;
    forgotten.register(this, { connection, id: record.id }, this);
  }

  /**
   * Segments what the prompt points at. One mask, or one for each of `boxes`; with `multimask` three in the
   * place of each.
   *
   * @throws `prompt_invalid`, `aborted`, `superseded`, `released`, `crashed`, `device_lost`, `out_of_memory`
   */
  segment(prompt: Prompt, options: SegmentOptions = {}): Promise<Mask[]> {
    return this.#segment(prompt, undefined, options);
  }

  /** @internal */
  refineFrom(refine: MaskId, prompt: Prompt, options: SegmentOptions): Promise<Mask[]> {
    return this.#segment(prompt, refine, options);
  }

  /**
   * Segments everything in the picture by the paper's hierarchical grid: a coarse grid of points, then a finer
   * one where the first left doubts. Iterate for masks as they come, await for the final set.
   *
   * @throws `option_invalid`, `aborted`, `released`, `crashed`, `device_lost`, `out_of_memory`
   */
  everything(options: EverythingRunOptions = {}): Everything {
    const { signal, onProgress, ...rest } = options;
    const stop = new AbortController();
    const stopped = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
    const run = (onBatch: (masks: Mask[], progress: EverythingProgress) => void) => {
      const onEvent = ({ masks, done, total }: BatchRecord) => {
        // Batches on their way when the run was stopped are nobody's.
        if (stopped.aborted) return this.#freeRecords(masks);
        onProgress?.({ done, total });
        onBatch(this.#masks(masks), { done, total });
      };
      return this.#run(
        () => this.#connection.call("everything", { embedding: this.#id, options: defined(rest) }, { signal: stopped, onEvent }),
        (records) => this.#masks(records),
        { signal: stopped },
      );
    };
    return new Everything(run, () => stop.abort());
  }

  /**
   * Which mask each pixel is of: its number, from 1 in the order given, or 0; the smallest where several overlap.
   * Row-major, at original size.
   *
   * @throws `option_invalid` for a mask of another engine, `released`, `crashed`
   */
  async toLabelMap(masks: readonly Mask[]): Promise<Uint16Array<ArrayBuffer>> {
    return this.#connection.call("labels", { embedding: this.#id, masks: this.#ids(masks) });
  }

  /**
   * A PNG of several masks at original size, the same bytes each time.
   *
   * @throws as {@link toLabelMap}
   */
  async toBlob(masks: readonly Mask[], kind: LayersKind = "overlay"): Promise<Blob> {
    const png = await this.#connection.call("layers", { embedding: this.#id, masks: this.#ids(masks), kind });
    return new Blob([png], { type: "image/png" });
  }

  /** Frees the embedding. Masks made from it live on, but can no longer be refined. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    forgotten.unregister(this);
    this.#connection.freeEmbedding(this.#id);
  }

  [dispose](): void {
    this.free();
  }

  #segment(prompt: Prompt, refine: MaskId | undefined, options: SegmentOptions): Promise<Mask[]> {
    const { signal } = options;
    const args = { embedding: this.#id, prompt: defined(prompt), ...(refine === undefined ? {} : { refine }) };
    const perPrompt = prompt.multimask === true ? 3 : 1;
    return this.#run(
      () => this.#connection.call("segment", args, { signal }),
      (records) => records.map((record, i) => this.#mask(record, promptOf(prompt, Math.floor(i / perPrompt)))),
      options,
    );
  }

  #run<T>(
    call: () => Promise<readonly MaskRecord[]>,
    wrap: (records: readonly MaskRecord[]) => T,
    { signal, latest }: SegmentOptions,
  ): Promise<T> {
    return this.#lane
      .run({
        start: () => {
          if (this.#freed) throw new TinySamError("released", "this image was freed: embed it again");
          return call();
        },
        signal,
        discard: (records) => this.#freeRecords(records),
        latest: latest === true ? this : undefined,
      })
      .then(wrap);
  }

  #ids(masks: readonly Mask[]): MaskId[] {
    if (this.#freed) throw new TinySamError("released", "this image was freed: embed it again");
    return masks.map((mask) => mask.idFor(this.#connection));
  }

  #mask(record: MaskRecord, prompt: Prompt): Mask {
    return new Mask(this, this.#connection, record, prompt);
  }

  #masks(records: readonly MaskRecord[]): Mask[] {
    return records.map((record) => this.#mask(record, record.point === undefined ? {} : { points: [record.point] }));
  }

  #freeRecords(records: readonly MaskRecord[]): void {
    for (const { id } of records) this.#connection.freeMask(id);
  }
}

/** Without the properties that are there but undefined: the engine takes those for values of a wrong type. */
function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/** The prompt of one mask out of a batch: what `refine` adds to. */
function promptOf(prompt: Prompt, index: number): Prompt {
  const box = prompt.boxes?.[index];
  return box === undefined ? prompt : { box };
}
