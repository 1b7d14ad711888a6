import type { Mask, Point, Prompt } from "tinysam";
import { outlinesOf } from "./outlines.js";

/** A mask on the stage. */
export interface Layer {
  readonly mask: Mask;
  /** In the photo's pixels, holes among them. */
  readonly outlines: Path2D;
  /** Tells it from the others, in degrees. */
  readonly hue: number;
  /** What refined it since it was found, one after another. */
  readonly refinements: readonly Prompt[];
}

/** Neighbours in a list get hues far apart. */
const GOLDEN_ANGLE = 137.508;
/** A canvas of its own, whose transformation is none: paths are asked in the photo's pixels. */
const TESTER = document.createElement("canvas").getContext("2d");

/** The masks on the stage, the one under the pointer and the one that was picked. It owns them and frees them. */
export class Layers {
  #all: readonly Layer[] = [];
  #picked: Layer | undefined;
  #lit: Layer | undefined;
  /** Masks whose outlines come after a newer turn has begun are nobody's. */
  #turn = 0;
  #count = 0;
  #frame = 0;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get all(): readonly Layer[] {
    return this.#all;
  }

  get picked(): Layer | undefined {
    return this.#picked;
  }

  /** The one under the pointer. */
  get lit(): Layer | undefined {
    return this.#lit;
  }

  /** The picked one, or else all. */
  get chosen(): readonly Layer[] {
    return this.#picked === undefined ? this.#all : [this.#picked];
  }

  /**
   * Puts masks in the place of those that are there; the one that was picked stays so if it is among them. Where `kept` has
   * a layer it stays, and the mask in its place is freed.
   */
  async show(masks: readonly Mask[], kept: readonly (Layer | undefined)[] = []): Promise<void> {
    const turn = ++this.#turn;
    const outlines = await this.#outlines(masks, turn);
    if (outlines === undefined) return;
    // A single mask is picked by itself, which says nothing of the several to come.
    const before = this.#all.length > 1 ? this.#picked?.mask : undefined;
    this.#drop(kept);
    this.#all = masks.map((mask, i) => {
      const layer = this.#layer(mask, outlines[i] ?? new Path2D());
      const stays = kept[i];
      if (stays === undefined) return layer;
      mask.free();
      return { ...stays, hue: layer.hue };
    });
    this.#picked = this.#all.length === 1 ? this.#all[0] : this.#all.find(({ mask }) => before !== undefined && isSame(mask, before));
    this.#changed();
  }

  /** Adds one more mask to those that are there. */
  async add(mask: Mask): Promise<void> {
    const outlines = await this.#outlines([mask], this.#turn);
    if (outlines?.[0] === undefined) return;
    this.#all = [...this.#all, this.#layer(mask, outlines[0])];
    // Masks come in batches: once a frame is often enough.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#changed();
    });
  }

  /** Puts a mask, refined so, in the place of the picked one, which is freed unless it is `spared`. */
  async replacePicked(mask: Mask, spared: Mask, refinements: readonly Prompt[]): Promise<void> {
    const turn = ++this.#turn;
    const outlines = await this.#outlines([mask], turn);
    const picked = this.#picked;
    if (outlines?.[0] === undefined || picked === undefined) return;
    const layer = { mask, outlines: outlines[0], hue: picked.hue, refinements };
    if (picked.mask !== spared && picked.mask !== mask) picked.mask.free();
    this.#all = this.#all.map((other) => (other === picked ? layer : other));
    this.#picked = layer;
    this.#changed();
  }

  /** Gives the masks away, as they are: they are the caller's to keep, to put back or to free. */
  take(): readonly Layer[] {
    const taken = this.#all;
    this.#all = [];
    this.clear();
    return taken;
  }

  /** Takes masks back in the place of those that are there. */
  put(layers: readonly Layer[]): void {
    this.#turn += 1;
    this.#drop();
    this.#all = layers;
    this.#count = layers.length;
    this.#picked = layers.length === 1 ? layers[0] : undefined;
    this.#changed();
  }

  clear(): void {
    this.#turn += 1;
    this.#drop();
    this.#changed();
  }

  pick(layer: Layer | undefined): void {
    this.#picked = layer;
    this.#changed();
  }

  light(layer: Layer | undefined): void {
    if (this.#lit === layer) return;
    this.#lit = layer;
    this.#changed();
  }

  /** The smallest mask at this point: the one that would be hard to reach otherwise. */
  at([x, y]: Point): Layer | undefined {
    return this.#all
      .filter(({ outlines }) => TESTER?.isPointInPath(outlines, x, y, "evenodd"))
      .reduce<Layer | undefined>((best, layer) => (best !== undefined && best.mask.area <= layer.mask.area ? best : layer), undefined);
  }

  #layer(mask: Mask, outlines: Path2D): Layer {
    return { mask, outlines, hue: (210 + GOLDEN_ANGLE * this.#count++) % 360, refinements: [] };
  }

  /** Undefined if something newer has come meanwhile; the masks are freed then. */
  async #outlines(masks: readonly Mask[], turn: number): Promise<Path2D[] | undefined> {
    try {
      const outlines = await Promise.all(masks.map(outlinesOf));
      if (turn === this.#turn) return outlines;
    } catch (error) {
      if (turn === this.#turn) throw error;
    }
    for (const mask of masks) if (!this.#all.some((layer) => layer.mask === mask)) mask.free();
    return undefined;
  }

  #drop(kept: readonly (Layer | undefined)[] = []): void {
    for (const layer of this.#all) if (!kept.includes(layer)) layer.mask.free();
    this.#all = [];
    this.#picked = this.#lit = undefined;
    this.#count = 0;
  }
}

/** Two handles of one mask: a candidate, and what became of it in the final set. */
function isSame(a: Mask, b: Mask): boolean {
  return a.area === b.area && a.score === b.score && String(a.bbox) === String(b.bbox);
}
