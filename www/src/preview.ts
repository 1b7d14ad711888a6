import { TinySamError, type Point } from "tinysam";
import { element } from "./dom.js";
import type { Engine } from "./engine.js";
import { outlinesOf } from "./outlines.js";
import type { Viewer } from "./viewer.js";

/** A decode slower than this would lag behind the pointer, in milliseconds. */
const FAST_ENOUGH_MS = 250;
/** One slower than this is begun only where the pointer rests so long: a click must not wait for what it has passed. */
const FLUID_MS = 25;
const REST_MS = 60;

/** The mask that a click would make, shown under a resting pointer where the device is fast enough. */
export class Preview {
  readonly #switch = element("hover-preview", HTMLInputElement);
  readonly #engine: Engine;
  readonly #viewer: Viewer;
  readonly #timed: (ms: number) => void;
  /** How long the last decode took. Before the first a preview is as good a measurement as any. */
  #decode = 0;
  #asked = 0;
  /** The timer of a pointer that may come to rest. */
  #rest = 0;
  /** Goes up when previews on their way are no longer wanted. */
  #turn = 0;

  /** `timed` is told how long a decode took. */
  constructor(engine: Engine, viewer: Viewer, timed: (ms: number) => void) {
    this.#engine = engine;
    this.#viewer = viewer;
    this.#timed = timed;
    this.#switch.addEventListener("change", () => this.hide());
  }

  measured(ms: number): void {
    this.#decode = ms;
  }

  hide(): void {
    clearTimeout(this.#rest);
    this.#turn += 1;
    this.#viewer.setPreview(undefined);
  }

  /** Once, by itself: what a click here would make, before there was any. */
  async greet(at: Point): Promise<void> {
    // An engine's first decode is slower than those to come: it measures nothing.
    if (this.#switch.checked) await this.#ask(at, false);
  }

  show(at: Point): void {
    clearTimeout(this.#rest);
    if (!this.#switch.checked || this.#decode > FAST_ENOUGH_MS) return;
    this.#rest = window.setTimeout(() => void this.#ask(at, true), this.#decode > FLUID_MS ? REST_MS : 0);
  }

  async #ask(at: Point, measures: boolean): Promise<void> {
    const turn = this.#turn;
    const alone = this.#asked++ === 0;
    const begun = performance.now();
    try {
      const mask = await this.#engine.preview(at);
      if (measures && alone && mask !== undefined) this.#timed(performance.now() - begun);
      const outlines = mask === undefined || turn !== this.#turn ? undefined : await outlinesOf(mask);
      if (turn === this.#turn && outlines !== undefined) this.#viewer.setPreview(outlines);
    } catch (error) {
      // It was overtaken by a newer one or by a click; any other error shows itself at the click.
      if (!(error instanceof TinySamError)) throw error;
    } finally {
      this.#asked -= 1;
    }
  }
}
