import { TinySam, type ImageSource, type Progress, type Prompt, type SamImage } from "tinysam/engine";

/** A mask as it is drawn: `path` is the `d` of an SVG path in the photo's pixels. */
export interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly score: number;
  readonly path: string;
}

/**
 * The model for as long as the component lives that makes this, and the mask of a prompt on a photo: a new photo stops
 * the encoding of the last one, a new prompt the decoding of the last one. Components with it share one engine.
 */
export class Segmentation {
  sam = $state.raw<TinySam>();
  progress = $state.raw<Progress>();
  image = $state.raw<SamImage>();
  mask = $state.raw<Drawn>();
  error = $state.raw<string>();

  constructor(photo: () => ImageSource | undefined, prompt: () => Prompt | undefined) {
    $effect(() => {
      const onProgress = (progress: Progress) => (this.progress = progress);
      return this.#hold(
        (signal) => TinySam.load({ signal, onProgress }),
        (sam) => (this.sam = sam),
      );
    });
    $effect(() => {
      const { sam } = this;
      const source = photo();
      if (sam === undefined || source === undefined) return;
      return this.#hold(
        (signal) => sam.embed(source, { signal }),
        (image) => (this.image = image),
      );
    });
    $effect(() => {
      const { image } = this;
      const asked = prompt();
      if (image === undefined || asked === undefined) return void (this.mask = undefined);
      const stop = new AbortController();
      this.error = undefined;
      draw(image, asked, stop.signal).then(
        (mask) => stop.signal.aborted || (this.mask = mask),
        (error: unknown) => stop.signal.aborted || (this.error = String(error)),
      );
      return () => stop.abort();
    });
  }

  /** Asks for something that must be freed. What is returned ends it: called off if it has not come, else freed. */
  #hold<T extends { free(): void }>(ask: (signal: AbortSignal) => Promise<T>, set: (held: T | undefined) => void): () => void {
    const stop = new AbortController();
    const asked = ask(stop.signal);
    this.error = undefined;
    asked.then(
      (held) => stop.signal.aborted || set(held),
      (error: unknown) => stop.signal.aborted || (this.error = String(error)),
    );
    return () => {
      stop.abort();
      set(undefined);
      asked.then(
        (held) => held.free(),
        () => undefined,
      );
    };
  }
}

async function draw(image: SamImage, prompt: Prompt, signal: AbortSignal): Promise<Drawn> {
  const [mask] = await image.segment(prompt, { signal });
  try {
    return { width: mask.width, height: mask.height, score: mask.score, path: await mask.toSvgPath() };
  } finally {
    mask.free();
  }
}
