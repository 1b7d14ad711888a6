import type { Connection } from "./connection.js";
import { dispose } from "./dispose.js";
import { TinySamError } from "./errors.js";
import type { Held, Lease } from "./lease.js";
import { checkNames, type Names } from "./options.js";
import { svgPath } from "./outlines.js";
import { plainPoints, type PlainPrompt } from "./prompts.js";
import type { CallName, Calls, MaskId, MaskRecord } from "./protocol.js";
import type { Box, Owned, PngKind, Point, Polygon, Prompt, Rle, SegmentOptions } from "./types.js";

/** What to add to a mask's prompt. */
export interface Refinement extends Pick<Prompt, "labels" | "multimask"> {
  readonly points: NonNullable<Prompt["points"]>;
}

const REFINEMENT: Names<Refinement> = { points: true, labels: true, multimask: true };

/** Segments again, from that mask. */
type Again = (from: Mask, prompt: PlainPrompt, options: SegmentOptions) => Promise<Mask[]>;

/**
 * A mask: its measures here, its pixels with the engine until they are asked for. Free it when it is done with.
 */
export class Mask {
  /** Sides of the mask, in pixels: those of the original image. */
  readonly width: number;
  readonly height: number;
  /** The model's own estimate of the mask's IoU with the truth, about 0 to 1. */
  readonly score: number;
  /** IoU of the mask at a higher and at a lower threshold: how sharply it is cut out, 0 to 1. */
  readonly stability: number;
  /** Pixels in the mask. */
  readonly area: number;
  /** The smallest box around the mask, as in COCO, in pixels of the original image. All zero for an empty mask. */
  readonly bbox: Box;
  /** The point that found this mask, in `everything` mode. */
  readonly point?: Point;

  readonly #connection: Connection;
  readonly #id: MaskId;
  readonly #prompt: PlainPrompt;
  readonly #again: Again;
  readonly #held: Held;
  #freed = false;

  /** Made by `prompt`; `again` keeps hold of its image. @internal */
  constructor(lease: Lease, connection: Connection, record: MaskRecord, prompt: PlainPrompt, again: Again) {
    this.width = record.width;
    this.height = record.height;
    this.score = record.score;
    this.stability = record.stability;
    this.area = record.area;
    this.bbox = record.bbox;
    if (record.point !== undefined) this.point = record.point;
    this.#connection = connection;
    this.#id = record.id;
    this.#prompt = prompt;
    this.#again = again;
    this.#held = lease.keep(this, () => connection.freeMask(record.id));
  }

  /** Frameworks make a proxy of no object but those that are plain. */
  get [Symbol.toStringTag](): string {
    return "Mask";
  }

  /** Its number, for the engine that made it. @internal */
  idFor(connection: Connection): MaskId {
    if (this.#freed) throw released();
    if (connection !== this.#connection) throw new TinySamError("option_invalid", "this mask is of another engine: segment again");
    return this.#id;
  }

  /** Low-resolution logits, row-major, `(size / 4)²` of them: a pixel is in the mask where they are over 0. */
  logits(): Promise<Owned<Float32Array>> {
    return this.#read("logits", { mask: this.#id });
  }

  /** The mask at original size, packed: row-major, eight pixels a byte, most significant bit first, rows unpadded. */
  toBits(): Promise<Owned<Uint8Array>> {
    return this.#read("bits", { mask: this.#id });
  }

  /** The mask at original size: white where it is, transparent elsewhere. */
  async toImageData(): Promise<ImageData> {
    return new ImageData(await this.#read("rgba", { mask: this.#id }), this.width, this.height);
  }

  /** The same as a bitmap, which a canvas draws at once and which can be transferred. */
  async toImageBitmap(): Promise<ImageBitmap> {
    return createImageBitmap(await this.toImageData());
  }

  /** A PNG at original size: the mask in white on black, the object cut out, or the photo with the mask laid over it. */
  async toBlob(kind: PngKind = "mask"): Promise<Blob> {
    return new Blob([await this.#read("png", { mask: this.#id, kind })], { type: "image/png" });
  }

  /** COCO's compressed run-length encoding. */
  toRle(): Promise<Rle> {
    return this.#read("rle", { mask: this.#id });
  }

  /** Lengths of the runs, column-major, background first: COCO's uncompressed encoding. */
  toRuns(): Promise<Owned<Uint32Array>> {
    return this.#read("counts", { mask: this.#id });
  }

  /**
   * The mask's connected parts, each with its outline and its holes. Corners less than `tolerance` pixels off the
   * simplified line are left out; at 0 they cover the mask's pixels exactly.
   *
   * @throws `option_invalid`, `released`, `crashed`
   */
  async toPolygons(tolerance = 1): Promise<Polygon[]> {
    if (!(tolerance >= 0 && tolerance < Infinity)) throw new TinySamError("option_invalid", `tolerance must be a number of pixels from 0 on, not ${String(tolerance)}`);
    const parts = await this.#read("polygons", { mask: this.#id, tolerance });
    return parts.flatMap(([outline, ...holes]) => (outline === undefined ? [] : [{ outline, holes }]));
  }

  /** The outlines as commands of an SVG path (`d`), by either rule of filling; `tolerance` as in {@link toPolygons}. */
  async toSvgPath(tolerance = 1): Promise<string> {
    return svgPath(await this.toPolygons(tolerance));
  }

  /** The outlines as a path for a canvas, by either rule of filling; `tolerance` as in {@link toPolygons}. */
  async toPath2D(tolerance = 1): Promise<Path2D> {
    return new Path2D(await this.toSvgPath(tolerance));
  }

  /**
   * Segments again with this mask as the start, and more points: those that made this mask are kept, and the
   * new ones added. This mask stays as it is.
   *
   * @throws as {@link SamImage.segment}
   */
  async refine(refinement: Refinement, options: SegmentOptions = {}): Promise<Mask[]> {
    if (this.#freed) throw released();
    checkNames<Refinement>(refinement, REFINEMENT, "a refinement", "prompt_invalid");
    const { points, labels } = plainPoints(refinement.points, refinement.labels);
    const { points: before, labels: labelsBefore, box } = this.#prompt;
    const prompt: PlainPrompt = {
      points: [...before, ...points],
      labels: [...labelsBefore, ...labels],
      ...(box === undefined ? {} : { box }),
      multimask: refinement.multimask === true,
    };
    return this.#again(this, prompt, options);
  }

  /** Frees what the engine keeps of this mask. The measures stay readable. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#held.free();
  }

  [dispose](): void {
    this.free();
  }

  #read<Name extends CallName>(name: Name, args: Calls[Name]["args"]): Promise<Calls[Name]["reply"]> {
    return this.#freed ? Promise.reject(released()) : this.#connection.call(name, args);
  }
}

function released(): TinySamError {
  return new TinySamError("released", "this mask was freed: segment again");
}
