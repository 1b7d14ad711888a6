import {
  TinySam,
  TinySamError,
  type Everything,
  type EverythingRunOptions,
  type LoadOptions,
  type Mask,
  type Point,
  type Progress,
  type Prompt,
  type SamImage,
} from "tinysam";
import { PhaseClock, type PhaseTimes } from "./phases.js";

/** What the page shows of the engine's work. Times are in milliseconds. */
export interface EngineEvents {
  progress(progress: Progress): void;
  loaded(sam: TinySam, ms: number, phases: PhaseTimes): void;
  encoding(): void;
  encoded(image: SamImage, ms: number): void;
  decoding(): void;
  /** One mask, or one for each of several boxes. They belong to the receiver, who frees them. */
  decoded(masks: Mask[]): void;
  /** How long one decode took, of a prompt or of a preview. */
  timed(ms: number): void;
  failed(error: unknown): void;
}

/** The model, one photo and one prompt, each replaced by the next as soon as there is one. */
export class Engine {
  readonly #events: EngineEvents;
  #sam: TinySam | undefined;
  #image: SamImage | undefined;
  #photo: Blob | undefined;
  #prompt: Prompt | undefined;
  /** The mask that the prompt refines, if it does. */
  #base: Mask | undefined;
  /** The latest preview: a click at its point takes its mask, and need not wait for another. */
  #preview: { readonly at: Point; readonly mask: Promise<Mask | undefined> } | undefined;
  /** Stops what the latest load, photo or prompt has made pointless. */
  #loading = new AbortController();
  #embedding = new AbortController();
  #segmenting = new AbortController();

  constructor(events: EngineEvents) {
    this.#events = events;
  }

  async load(options: LoadOptions): Promise<boolean> {
    this.#loading.abort();
    const { signal } = (this.#loading = new AbortController());
    this.#forgetImage();
    this.#sam?.free();
    this.#sam = undefined;
    const begun = performance.now();
    const clock = new PhaseClock();
    const onProgress = (progress: Progress) => {
      clock.at(progress.phase);
      this.#events.progress(progress);
    };
    try {
      const sam = await TinySam.load({ ...options, signal, onProgress });
      clock.at(undefined);
      this.#sam = sam;
      this.#events.loaded(sam, performance.now() - begun, clock.times);
    } catch (error) {
      this.#report(error);
      return signal.aborted;
    }
    void this.#embed();
    return true;
  }

  /** Another photo; its prompt starts empty. */
  open(photo: Blob): void {
    this.#photo = photo;
    this.#prompt = this.#base = undefined;
    void this.#embed();
  }

  /** Another prompt; without one there is nothing to do. It waits for the model and the photo if it must. */
  segment(prompt: Prompt | undefined, base?: Mask): void {
    this.#segmenting.abort();
    this.#prompt = prompt;
    this.#base = base;
    void this.#segment();
  }

  /** The mask at a point, if there is a photo, until the next is asked for: a newer point takes the place of one that waits. */
  preview(at: Point): Promise<Mask | undefined> | undefined {
    const masks = this.#image?.segment({ points: [at], labels: [1] }, { latest: true, signal: this.#embedding.signal });
    this.#dropPreview();
    this.#preview = masks && { at, mask: masks.then(([mask]) => mask) };
    return this.#preview?.mask;
  }

  /** Begins to look for everything, if there is a photo to look at. Another photo or model stops it. */
  everything({ signal, ...options }: EverythingRunOptions): Everything | undefined {
    this.segment(undefined);
    const gone = this.#embedding.signal;
    return this.#image?.everything({ ...options, signal: signal === undefined ? gone : AbortSignal.any([signal, gone]) });
  }

  async #embed(afterCrash = false): Promise<void> {
    this.#forgetImage();
    if (this.#sam === undefined || this.#photo === undefined) return;
    const { signal } = (this.#embedding = new AbortController());
    this.#events.encoding();
    const begun = performance.now();
    try {
      const image = await this.#sam.embed(this.#photo, { signal });
      this.#image = image;
      this.#events.encoded(image, performance.now() - begun);
    } catch (error) {
      return this.#recover(error, afterCrash);
    }
    await this.#segment();
  }

  async #segment(): Promise<void> {
    const image = this.#image;
    const prompt = this.#prompt;
    if (image === undefined || prompt === undefined) return;
    const { signal } = (this.#segmenting = new AbortController());
    this.#events.decoding();
    try {
      const previewed = this.#base === undefined ? await this.#takePreview(prompt) : undefined;
      if (signal.aborted) return previewed?.free();
      if (previewed !== undefined) return this.#events.decoded([previewed]);
      const begun = performance.now();
      const { points = [], labels = [] } = prompt;
      const options = { signal, latest: true };
      const masks = await (this.#base?.refine({ points, labels }, options) ?? image.segment(prompt, options));
      this.#events.timed(performance.now() - begun);
      this.#events.decoded(masks);
    } catch (error) {
      this.#recover(error, false);
    }
  }

  /** A dead engine is replaced by the package; what it held has to be made again, once. */
  #recover(error: unknown, again: boolean): void {
    const died = error instanceof TinySamError && (error.code === "crashed" || error.code === "device_lost");
    // Before anyone hears of it, and asks the dead engine for more.
    if (died) this.#forgetImage();
    this.#report(error);
    if (died && !again) void this.#embed(true);
  }

  #report(error: unknown): void {
    const wanted = error instanceof TinySamError && (error.code === "aborted" || error.code === "superseded");
    if (!wanted) this.#events.failed(error);
  }

  /** The preview's mask, if this prompt asks for just that; it is the caller's then. */
  async #takePreview({ points: [at, ...others] = [], labels, box, boxes }: Prompt): Promise<Mask | undefined> {
    const preview = this.#preview;
    if (preview === undefined || at === undefined || box !== undefined || boxes !== undefined) return undefined;
    if (others.length > 0 || labels?.[0] !== 1 || at[0] !== preview.at[0] || at[1] !== preview.at[1]) return undefined;
    this.#preview = undefined;
    // One that was overtaken is asked for anew.
    return preview.mask.catch(() => undefined);
  }

  #dropPreview(): void {
    void this.#preview?.mask.then((mask) => mask?.free(), () => undefined);
    this.#preview = undefined;
  }

  #forgetImage(): void {
    this.#dropPreview();
    this.#embedding.abort();
    this.#segmenting.abort();
    this.#image?.free();
    this.#image = undefined;
    // A mask can be refined only as long as its image is there.
    if (this.#base !== undefined) this.#prompt = this.#base = undefined;
  }
}
