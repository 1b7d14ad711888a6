import { TinySamError, type Everything, type EverythingOptions, type EverythingProgress } from "tinysam";
import { element, masksInWords } from "./dom.js";
import type { Layer, Layers } from "./layers.js";
import type { Panel } from "./panel.js";

/** So many candidates are shown as they come: more would not be told apart, and slow the page. */
const MOST_CANDIDATES = 150;

/** Begins a run on the photo, if there is one. */
export type Begin = (options: EverythingOptions & { signal: AbortSignal; onProgress(progress: EverythingProgress): void }) => Everything | undefined;

/** A run of everything whose masks are on the stage, or were. */
interface Run {
  readonly options: EverythingOptions;
  /** It came to its end. */
  readonly done: boolean;
  /** It was stopped: its masks are the first candidates, and not the final ones. */
  readonly stopped: boolean;
}

/** Everything mode: the button, its settings and its run, whose masks come to the stage as they are found. */
export class EverythingMode {
  readonly #button = element("everything", HTMLButtonElement);
  readonly #points = element("points-per-side", HTMLSelectElement);
  readonly #score = element("least-score", HTMLInputElement);
  readonly #stability = element("least-stability", HTMLInputElement);
  readonly #overlap = element("most-overlap", HTMLInputElement);
  readonly #layers: Layers;
  readonly #panel: Panel;
  readonly #begin: Begin;
  readonly #changed: () => void;
  readonly #settings = element("everything-settings", HTMLDetailsElement);
  #running: AbortController | undefined;
  /** The run whose masks are on the stage. */
  #shown: Run | undefined;
  /** The run that left the stage last, with its masks: undoing what it left for brings them back. */
  #shelf: (Run & { readonly layers: readonly Layer[] }) | undefined;

  /** `changed` is told when a run begins or ends. */
  constructor(layers: Layers, panel: Panel, begin: Begin, changed: () => void) {
    this.#layers = layers;
    this.#panel = panel;
    this.#begin = begin;
    this.#changed = changed;
  }

  /** The run whose masks are on the stage, if they are those of a run. */
  get shown(): Run | undefined {
    return this.#shown;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** What the settings ask for. */
  get wanted(): EverythingOptions {
    return {
      pointsPerSide: Number(this.#points.value),
      predIouThresh: this.#score.valueAsNumber || 0,
      stabilityScoreThresh: this.#stability.valueAsNumber || 0,
      boxNmsThresh: this.#overlap.valueAsNumber || 0,
    };
  }

  /** Sets the thresholds to what suits a checkpoint. */
  suggest({ score, stability }: { readonly score: number; readonly stability: number }): void {
    this.#score.value = String(score);
    this.#stability.value = String(stability);
  }

  allow(ready: boolean): void {
    this.#button.disabled = !ready;
  }

  /** Stops the run; what it has found stays. */
  stop(): void {
    this.#running?.abort();
  }

  /** Another kind of work takes the stage: masks still on their way are not wanted, finished ones may be again. */
  leave(): void {
    const left = this.#shown;
    if (left === undefined) return;
    this.#shown = undefined;
    if (this.isRunning) return this.stop();
    this.forget();
    this.#shelf = { ...left, layers: this.#layers.take() };
  }

  /** Photo or engine are gone, and the masks of earlier runs with them. */
  forget(): void {
    for (const { mask } of this.#shelf?.layers ?? []) mask.free();
    this.#shelf = undefined;
  }

  /** The masks of a run with these options, which are there or are looked for. */
  show(options: EverythingOptions): void {
    if (this.#shown?.options === options) return;
    const shelf = this.#shelf;
    if (shelf?.options !== options) return void this.#run(options);
    this.#shelf = undefined;
    this.#shown = shelf;
    this.#layers.put(shelf.layers);
  }

  async #run(options: EverythingOptions): Promise<void> {
    this.stop();
    const running = new AbortController();
    const { signal } = running;
    const onProgress = ({ done, total }: EverythingProgress) =>
      signal.aborted || this.#panel.showBusy("everything", `${done} of ${total} points, ${masksInWords(this.#layers.all.length)}`);
    const run = this.#begin({ ...options, signal, onProgress });
    if (run === undefined) return;
    this.#running = running;
    this.#shown = { options, done: false, stopped: false };
    this.#layers.clear();
    this.#show();
    this.#panel.showBusy("everything", "Looking at everything…");
    // Not one after another: while it decodes, the engine answers once a batch.
    const shown: Promise<void>[] = [];
    let done = false;
    try {
      for await (const mask of run) {
        if (shown.length < MOST_CANDIDATES) shown.push(this.#layers.add(mask));
        else mask.free();
      }
      await Promise.all(shown);
      const masks = await run.masks;
      if (signal.aborted) masks.forEach((mask) => mask.free());
      else await this.#layers.show(masks);
      done = true;
      if (masks.length === 0) this.#settings.open = true;
      this.#panel.announce(masks.length === 0 ? "No mask passed the thresholds: lower them and try again." : `${masksInWords(masks.length)} found.`);
    } catch (error) {
      if (!(error instanceof TinySamError && error.code === "aborted")) this.#panel.showError(error);
    } finally {
      await Promise.allSettled(shown);
      if (this.#running === running) {
        this.#running = undefined;
        if (this.#shown?.options === options) this.#shown = { options, done, stopped: signal.aborted };
        this.#panel.showBusy("everything", undefined);
        this.#show();
      }
    }
  }

  #show(): void {
    this.#button.textContent = this.isRunning ? "Stop" : "Everything";
    this.#changed();
  }
}
