import type { Everything, EverythingRunOptions, Mask, Point, Prompt, SamImage } from "tinysam";
import { encode, type Encoded } from "./encoding.js";
import { hasDied, isWanted } from "./failures.js";
import type { Photo } from "./photos.js";
import type { Encoding, Model } from "./state.js";

/** What the page shows of the engine's work. Times are in milliseconds. */
export interface EngineEvents {
  /** The photo is being encoded; `working` if the one before goes on being used meanwhile. */
  encoding(working: boolean): void;
  /** The photo is encoded, by this model: from now on prompts are asked of it. */
  encoded(model: Model, encoding: Encoding): void;
  decoding(): void;
  /** One mask, or one for each of several boxes. They belong to the receiver, who frees them. */
  decoded(masks: Mask[]): void;
  /** How long one decode took, of a prompt or of a preview. */
  timed(ms: number): void;
  /** May a patient model take its place now? */
  mayReplace(): boolean;
  /**
   * A model that was to be used could not encode the photo: the one before goes on, if there was one. Or the engine has
   * `died`, and with it its image and masks: it is on its way back, unless it has just been.
   */
  failed(error: unknown, died: boolean): void;
}

/** The model, one photo and one prompt, each replaced by the next as soon as there is one. */
export class Engine {
  readonly #events: EngineEvents;
  /** The model to use; the one in use may still be another, until this has encoded the photo. */
  #model: Model | undefined;
  /** One that takes its place behind it, once the photo that came meanwhile is there to be worked with. */
  #patient: Model | undefined;
  /** What prompts are asked of. */
  #used: Encoded | undefined;
  /** What waits to be used. */
  #waiting: Encoded | undefined;
  #photo: Photo | undefined;
  #prompt: Prompt | undefined;
  /** The mask that the prompt refines, if it does. */
  #base: Mask | undefined;
  /** The latest preview: a click at its point takes its mask, and need not wait for another. */
  #preview: { readonly at: Point; readonly mask: Promise<Mask | undefined> } | undefined;
  /** Stops what the latest photo, model or prompt has made pointless: encoding, what is asked of an image, segmenting. */
  #embedding = new AbortController();
  #using = new AbortController();
  #segmenting = new AbortController();

  constructor(events: EngineEvents) {
    this.#events = events;
  }

  /** The photo as the model knows it, once it does. */
  get image(): SamImage | undefined {
    return this.#used?.image;
  }

  /** What the next photo is encoded with. */
  get model(): Model | undefined {
    return this.#model;
  }

  /** Another model. The one before is used until this one has encoded the photo. */
  use(model: Model): void {
    const before = this.#model;
    if (before?.sam !== model.sam) {
      if (this.#patient?.sam !== model.sam) this.#patient?.sam.free();
      this.#patient = undefined;
    }
    this.#model = model;
    if (before !== undefined && before.sam !== model.sam && before.sam !== this.#used?.model.sam) before.sam.free();
    void this.#embed();
  }

  /** Photos are to be seen at another size, for which the model need not be loaded again. */
  resize(sizeFor: (model: Model) => number): void {
    const model = this.#model;
    const size = model && sizeFor(model);
    if (model !== undefined && size !== undefined && size !== model.size) this.use({ ...model, size });
  }

  /** Another photo; its prompt starts empty. */
  open(photo: Photo): void {
    const [next, used] = [this.#model, this.#used?.model];
    // The visitor need not wait for one that has time.
    if (next?.patient === true && used !== undefined && used.sam !== next.sam) [this.#model, this.#patient] = [used, next];
    this.#photo = photo;
    this.#prompt = this.#base = undefined;
    this.#forgetImage();
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
    const masks = this.#used?.image.segment({ points: [at], labels: [1] }, { latest: true, signal: this.#using.signal });
    this.#dropPreview();
    this.#preview = masks && { at, mask: masks.then(([mask]) => mask) };
    return this.#preview?.mask;
  }

  /** Begins to look for everything, if there is a photo to look at. Another photo or model stops it. */
  everything({ signal, ...options }: EverythingRunOptions): Everything | undefined {
    this.segment(undefined);
    const used = this.#used;
    const run = used?.image.everything({ ...options, signal: either(signal, this.#using.signal) });
    void run?.masks.catch((error: unknown) => used === this.#used && hasDied(error, used?.model) && this.#recover(error, false));
    return run;
  }

  /** Uses what is encoded, if that may take the place of what was. */
  settle(): void {
    const encoded = this.#waiting;
    if (encoded === undefined) return;
    if (encoded.model.patient && this.#used !== undefined && !this.#events.mayReplace()) return;
    this.#waiting = undefined;
    this.#forgetImage();
    this.#used = encoded;
    this.#using = new AbortController();
    this.#events.encoded(encoded.model, encoded.encoding);
  }

  async #embed(afterCrash = false): Promise<void> {
    this.#embedding.abort();
    this.#dropWaiting();
    const model = this.#model;
    const photo = this.#photo;
    if (model === undefined || photo === undefined) return;
    const { signal } = (this.#embedding = new AbortController());
    this.#events.encoding(this.#used !== undefined);
    try {
      const encoded = await encode(model, photo, signal);
      if (signal.aborted) return encoded.image.free();
      this.#waiting = encoded;
    } catch (error) {
      return this.#failed(model, error, afterCrash);
    }
    this.settle();
    if (this.#patient !== undefined) this.use(this.#patient);
  }

  #failed(model: Model, error: unknown, afterCrash: boolean): void {
    if (isWanted(error)) return;
    const works = this.#used?.model;
    if (works === undefined || works.sam === model.sam) {
      // What works goes on, if it is the size alone that does not.
      if (works !== undefined) this.#model = works;
      return this.#recover(error, afterCrash);
    }
    // The package starts another engine in its place, on the CPU where the GPU was at fault.
    if (hasDied(error, model) && !afterCrash) return void this.#embed(true);
    this.#model = works;
    model.sam.free();
    this.#events.failed(error, false);
  }

  async #segment(): Promise<void> {
    const image = this.#used?.image;
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
    if (isWanted(error)) return;
    const died = hasDied(error, this.#model);
    // Before anyone hears of it, and asks the dead engine for more.
    if (died) this.#forgetImage();
    this.#events.failed(error, died && !again);
    if (died && !again) void this.#embed(true);
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

  #dropWaiting(): void {
    this.#waiting?.image.free();
    this.#waiting = undefined;
  }

  #forgetImage(): void {
    this.#dropPreview();
    this.#using.abort();
    this.#segmenting.abort();
    const used = this.#used;
    used?.image.free();
    this.#used = undefined;
    // A model that was kept for this image alone.
    if (used !== undefined && used.model.sam !== this.#model?.sam) used.model.sam.free();
    // A mask can be refined only as long as its image is there.
    if (this.#base !== undefined) this.#prompt = this.#base = undefined;
  }
}

/** `AbortSignal.any`, which Safari has since 17.4. */
function either(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  const both = new AbortController();
  for (const signal of [one, other]) {
    if (signal?.aborted) both.abort(signal.reason);
    signal?.addEventListener("abort", () => both.abort(signal.reason), { once: true });
  }
  return both.signal;
}
