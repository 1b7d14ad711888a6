/** What the calls of a model and of its images take, and every name in it. */
import type { DeviceKind } from "./device.js";
import type { EverythingProgress } from "./everything.js";
import type { Names } from "./options.js";
import type { Precision } from "./protocol.js";
import type { WorkerMaker } from "./start.js";
import type { Box, EverythingOptions, ImageSource, ModelName, Numbers, Progress, SegmentOptions, WeightsSource } from "./types.js";

/** How to load the model. */
export interface LoadOptions {
  /** Where the weights come from. Default: the official checkpoint and its mirrors, {@link DEFAULT_WEIGHTS}. */
  readonly weights?: WeightsSource;
  /** What the SHA-256 of the weights must be, in hex; checked on download and on every read from the cache. */
  readonly sha256?: string;
  /**
   * Whose network the weights are of, which decides how a box is answered: by the decoder's first mask, as MobileSAM's own
   * code does, or by the best of the other three, as TinySAM's. Default: MobileSAM's published file is known by its hash,
   * and all others count as TinySAM's; weights that were fine-tuned or converted from MobileSAM's need `mobilesam`.
   */
  readonly model?: ModelName;
  /** Where to run. Default `auto`: WebGPU on a real GPU, else the CPU. */
  readonly device?: "auto" | DeviceKind;
  /** The side at which the network sees pictures, a multiple of 64 from 64 to 1024. Default 1024. */
  readonly size?: number;
  /**
   * Run in a Web Worker, so that the page never waits. Default true. A function makes the worker itself, for tools that
   * know workers only by their own syntax; it runs the package's `worker-cpu.js` or `worker-webgpu.js`.
   */
  readonly worker?: boolean | WorkerMaker;
  /**
   * How many workers the CPU computes with, each with the weights in memory of its own (some 90 MB at 1024); results are
   * the same to the last bit. Default: one for each core, five at most, and no more than the machine has gigabytes of memory;
   * four where the browser does not tell of them.
   * A GPU needs one.
   */
  readonly workers?: number;
  /**
   * The folder that holds the package's `worker-*.js` and `tinysam-*.wasm`, for tools that do not emit them by
   * themselves. Default: the folder of this script, or where a bundler put them.
   */
  readonly assets?: string | URL;
  /**
   * Keep downloaded weights in the browser's Cache API. Default true. With {@link sha256} they are then loaded without
   * a request; without it the server is asked whether the file is still the same, where it sends an `ETag` or a
   * `Last-Modified` that this page may read.
   */
  readonly cache?: boolean;
  readonly signal?: AbortSignal;
  /** Called as loading goes on. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How to embed one picture. */
export interface EmbedOptions {
  /** Overrides {@link LoadOptions.size} for this picture. */
  readonly size?: number;
  /**
   * The part of the picture that the network sees, in pixels of the picture; what of it lies outside is cut off. What is
   * small in a large photo is seen larger so. Prompts and masks stay in pixels of the whole picture, and prompts must be
   * within this part.
   */
  readonly crop?: Box | Numbers;
  readonly signal?: AbortSignal;
}

/** How to restore a saved image. */
export interface RestoreOptions {
  /** The photo, for cut-outs and overlays; everything else is had without it. */
  readonly photo?: ImageSource;
  readonly signal?: AbortSignal;
}

/** @internal */
export const LOAD: Names<LoadOptions> = {
  weights: true,
  sha256: true,
  model: true,
  device: true,
  size: true,
  worker: true,
  workers: true,
  assets: true,
  cache: true,
  signal: true,
  onProgress: true,
};
/** @internal */
export const EMBED: Names<EmbedOptions> = { size: true, crop: true, signal: true };
/** @internal */
export const RESTORE: Names<RestoreOptions> = { photo: true, signal: true };

/** How to run `everything`. */
export interface EverythingRunOptions extends EverythingOptions {
  readonly signal?: AbortSignal;
  /** Called after each batch of points. */
  readonly onProgress?: (progress: EverythingProgress) => void;
}

/** How to save an image. */
export interface SaveOptions {
  /**
   * `f16`: 2 MB at the full size of 1024, and masks that differ by a few pixels along their edges; `f32`: 4 MB, and the
   * same masks. Default `f16`.
   */
  readonly precision?: Precision;
}

/** @internal */
export const EVERYTHING: Names<EverythingRunOptions> = {
  signal: true,
  onProgress: true,
  pointsPerSide: true,
  predIouThresh: true,
  stabilityScoreThresh: true,
  stabilityScoreOffset: true,
  highScoreThresh: true,
  boxNmsThresh: true,
  minMaskRegionArea: true,
};
/** @internal */
export const SEGMENT: Names<SegmentOptions> = { signal: true, latest: true };
/** @internal */
export const SAVE: Names<SaveOptions> = { precision: true };
