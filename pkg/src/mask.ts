import type { Connection } from "./connection.js";
import { dispose } from "./dispose.js";
import { TinySamError } from "./errors.js";
import type { SamImage, SegmentOptions } from "./image.js";
import type { CallName, Calls, MaskId, MaskRecord } from "./protocol.js";
import type { Label, PngKind, Point, Prompt, Rle } from "./types.js";

/** Frees masks that were forgotten; a safety net, for collection may come late or never. */
const forgotten = new FinalizationRegistry<{ connection: Connection; id: MaskId }>(({ connection, id }) => connection.freeMask(id));

/** What to add to a mask's prompt. */
export interface Refinement {
  readonly points: readonly Point[];
  /** One for each point; without labels every point is on the object. */
  readonly labels?: readonly Label[];
  /** Give the three masks that the model proposes, in place of the best. */
  readonly multimask?: boolean;
}

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
  /** The smallest box around the mask, in pixels of the original image. All zero for an empty mask. */
  readonly bbox: readonly [x: number, y: number, width: number, height: number];
  /** The point that found this mask, in `everything` mode. */
  readonly point?: Point;

  readonly #image: SamImage;
  readonly #connection: Connection;
  readonly #id: MaskId;
  readonly #prompt: Prompt;
  #freed = false;

  /** @internal */
  constructor(image: SamImage, connection: Connection, record: MaskRecord, prompt: Prompt) {
    this.width = record.width;
    this.height = record.height;
    this.score = record.score;
    this.stability = record.stability;
    this.area = record.area;
    this.bbox = record.bbox;
    if (record.point !== undefined) this.point = record.point;
    this.#image = image;
    this.#connection = connection;
    this.#id = record.id;
    this.#prompt = prompt;
    forgotten.register(this, { connection, id: record.id }, this);
  }

  /** Its number, for the engine that made it. @internal */
  idFor(connection: Connection): MaskId {
    if (this.#freed) throw released();
    if (connection !== this.#connection) throw new TinySamError("option_invalid", "this mask is of another engine: segment again");
    return this.#id;
  }

  /** Low-resolution logits, row-major, `(size / 4)²` of them: a pixel is in the mask where they are over 0. */
  logits(): Promise<Float32Array<ArrayBuffer>> {
    return this.#read("logits", { mask: this.#id });
  }

  /** The mask at original size, packed: row-major, eight pixels a byte, most significant bit first, rows unpadded. */
  toBits(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read("bits", { mask: this.#id });
  }

  /** The mask at original size: white where it is, transparent elsewhere. */
  async toImageData(): Promise<ImageData> {
    return new ImageData(await this.#read("rgba", { mask: this.#id }), this.width, this.height);
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
  toRuns(): Promise<Uint32Array<ArrayBuffer>> {
    return this.#read("counts", { mask: this.#id });
  }

  /**
   * The mask's outlines as closed rings of `x, y, x, y, …` in pixels of the original image; holes run the other
   * way round. Corners less than `tolerance` pixels off the simplified line are left out.
   */
  toPolygons(tolerance = 1): Promise<Float32Array<ArrayBuffer>[]> {
    return this.#read("polygons", { mask: this.#id, tolerance });
  }

  /**
   * Segments again with this mask as the start, and more points: those that made this mask are kept, and the
   * new ones added. This mask stays as it is.
   */
  refine(refinement: Refinement, options: SegmentOptions = {}): Promise<Mask[]> {
    if (this.#freed) return Promise.reject(released());
    const { points: before = [], labels: labelsBefore = before.map(() => 1 as const), box } = this.#prompt;
    const labels = refinement.labels ?? refinement.points.map(() => 1 as const);
    const prompt: Prompt = {
      points: [...before, ...refinement.points],
      labels: [...labelsBefore, ...labels],
      ...(box === undefined ? {} : { box }),
      ...(refinement.multimask === undefined ? {} : { multimask: refinement.multimask }),
    };
    return this.#image.refineFrom(this.#id, prompt, options);
  }

  /** Frees what the engine keeps of this mask. The measures stay readable. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    forgotten.unregister(this);
    this.#connection.freeMask(this.#id);
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
