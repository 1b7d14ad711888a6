/** A position in pixels of the original image (after its EXIF orientation), origin top left. */
export type Point = readonly [x: number, y: number];

/** A rectangle in pixels of the original image: its top left corner and its sides. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/** What a {@link Point} says: 1 is on the object, 0 is not. */
export type Label = 0 | 1;

/** Numbers in a typed array, which are taken wherever a list of numbers is. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array;

/**
 * What to segment. `points` (with `box`) make one joint prompt, of one object; `boxes` are separate prompts, each of an
 * object of its own. Every coordinate is in pixels of the original image.
 *
 * It is copied when it is given: state of Vue, Svelte or MobX need not be unwrapped, and may change at once.
 */
export interface Prompt {
  /** Points on the object, or off it, as {@link labels} says. */
  readonly points?: readonly (Point | Numbers)[];
  /** One for each point; without labels every point is on the object. */
  readonly labels?: readonly Label[] | Numbers;
  /** One box around the object; points refine it. */
  readonly box?: Box | Numbers;
  /** Several boxes, decoded as one batch: one result for each box, in their order. */
  readonly boxes?: readonly (Box | Numbers)[];
  /** Low-resolution logits of an earlier mask, `(size / 4)²` of them: see {@link Mask.logits}. */
  readonly mask?: Float32Array;
  /** Give all three masks that the model proposes, in its own order, in place of the one of the best score. */
  readonly multimask?: boolean;
}

/** How to run a prompt, or several. */
export interface SegmentOptions {
  readonly signal?: AbortSignal;
  /**
   * Newest wins, for prompts that follow a pointer: if another such prompt of this image still waits, it is
   * rejected with `superseded`, and no queue builds up.
   */
  readonly latest?: boolean;
}

/** Pixels as `ImageData` has them: RGBA, row-major, straight alpha, sRGB; four bytes a pixel. */
export interface PixelData {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** A source of pixels. Nothing given here is consumed: bitmaps and frames stay the caller's. */
export type ImageSource =
  | string
  | URL
  | Blob
  | ImageBitmap
  | ImageData
  | PixelData
  | OffscreenCanvas
  | Known<"HTMLImageElement">
  | Known<"HTMLCanvasElement">
  | Known<"HTMLVideoElement">
  | Known<"VideoFrame">;

/**
 * A source of weights: a URL, or several URLs of one file, which are tried in turn, or the bytes of a `.pth` or
 * `.safetensors` file in whatever form they are at hand.
 */
export type WeightsSource = string | URL | readonly (string | URL)[] | Blob | ArrayBuffer | Uint8Array | Response;

/** Whose network weights are of. */
export type ModelName = "tinysam" | "mobilesam";

/** How far loading has come. */
export interface Progress {
  /**
   * `module`: fetching and compiling the engine; `download`: fetching the weights; `verify`: checking their
   * hash; `prepare`: building the network; `warmup`: the first run on the device, which compiles shaders.
   */
  readonly phase: "module" | "download" | "verify" | "prepare" | "warmup";
  /** Bytes so far, where bytes are counted. */
  readonly loaded?: number;
  /** Bytes in all, where that is known. */
  readonly total?: number;
}

/** COCO's compressed run-length encoding: column-major runs, background first. */
export interface Rle {
  /** `[height, width]` of the original image, in COCO's order. */
  readonly size: readonly [height: number, width: number];
  /** The runs in COCO's compressed text. */
  readonly counts: string;
}

/** What a PNG of a mask shows: the mask, white on black; the object cut out; the photo with the mask laid over it. */
export type PngKind = "mask" | "cutout" | "overlay";

/**
 * What a PNG of several masks shows: the photo with every mask laid over it in a colour of its own, larger ones below;
 * all of them together, white on black; what they cover together, cut out; or the label map, grey, sixteen bits a pixel.
 */
export type LayersKind = PngKind | "labels";

/** A connected part of a mask, its rings as `x, y, x, y, …` in pixels of the original image; the last corner joins the first. */
export interface Polygon {
  /** Clockwise as seen on a screen. */
  readonly outline: Owned<Float32Array>;
  /** The other way round. */
  readonly holes: readonly Owned<Float32Array>[];
}

/** Options of `everything`; the defaults are the paper's. */
export interface EverythingOptions {
  /** Points along each side of the fine grid, a multiple of 4; the coarse grid has a quarter of them. Default 32. */
  readonly pointsPerSide?: number;
  /** Keep masks whose predicted IoU is over this. Default 0.88. */
  readonly predIouThresh?: number;
  /** Keep masks at least this stable. Default 0.95. */
  readonly stabilityScoreThresh?: number;
  /** How far the threshold moves to measure stability, in logits. Default 1. */
  readonly stabilityScoreOffset?: number;
  /** Where a mask's logits are over this, the second round does not look again. Default 8.5. */
  readonly highScoreThresh?: number;
  /** Of two masks whose boxes overlap by more than this IoU, the better one stays. Default 0.7. */
  readonly boxNmsThresh?: number;
  /** Remove islands and holes smaller than this many pixels, but for a mask's largest island. Default 0: none. */
  readonly minMaskRegionArea?: number;
}

/**
 * A typed array on memory of its own: `Float32Array<ArrayBuffer>`, as TypeScript before 5.7 can read it, too, to which
 * typed arrays are not generic.
 */
export type Owned<Numbers extends { slice(): unknown }> = ReturnType<Numbers["slice"]>;

/** A class of the platform, where the application's TypeScript knows it: a worker's knows no elements. */
type Known<Name extends string> = typeof globalThis extends Record<Name, { prototype: infer Type }> ? Type : never;
