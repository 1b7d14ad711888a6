import { useEffect, useState } from "react";
import { TinySam, type ImageSource, type Progress, type Prompt, type SamImage } from "tinysam/engine";

/** The model: how far it has come, then itself, or why there is none. */
export interface Model {
  readonly progress?: Progress;
  readonly sam?: TinySam;
  readonly error?: string;
}

/** Loads the model, and lets go of it on unmount. Components that use it share one engine. */
export function useTinySam(): Model {
  const [model, setModel] = useState<Model>({});
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    const set = (next: Model) => signal.aborted || setModel(next);
    const loading = TinySam.load({ signal, onProgress: (progress) => set({ progress }) });
    loading.then(
      (sam) => set({ sam }),
      (error: unknown) => set({ error: String(error) }),
    );
    return () => {
      stop.abort();
      freeLater(loading);
      setModel({});
    };
  }, []);
  return model;
}

/** A mask as it is drawn: `path` is the `d` of an SVG path in the photo's pixels. */
export interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly score: number;
  readonly path: string;
}

/** What became of a photo and a prompt. */
export interface Segmentation {
  /** The photo is encoded: prompts are answered at once. */
  readonly ready: boolean;
  readonly mask?: Drawn;
  readonly error?: string;
}

/**
 * The mask of a prompt on a photo. A new photo stops the encoding of the last one, a new prompt the decoding of the
 * last one. `photo` and `prompt` are compared by identity: keep them in state.
 */
export function useSegmentation(sam?: TinySam, photo?: ImageSource, prompt?: Prompt): Segmentation {
  const [image, setImage] = useState<SamImage>();
  const [mask, setMask] = useState<Drawn>();
  const [error, setError] = useState<string>();

  useEffect(() => {
    if (sam === undefined || photo === undefined) return;
    const stop = new AbortController();
    const { signal } = stop;
    const embedding = sam.embed(photo, { signal });
    embedding.then(
      (image) => signal.aborted || setImage(image),
      (error: unknown) => signal.aborted || setError(String(error)),
    );
    return () => {
      stop.abort();
      freeLater(embedding);
      setImage(undefined);
      setError(undefined);
    };
  }, [sam, photo]);

  useEffect(() => {
    if (image === undefined || prompt === undefined) return;
    const stop = new AbortController();
    const { signal } = stop;
    draw(image, prompt, signal).then(
      (mask) => signal.aborted || setMask(mask),
      (error: unknown) => signal.aborted || setError(String(error)),
    );
    return () => {
      stop.abort();
      setError(undefined);
    };
  }, [image, prompt]);

  // The last mask stays until the next one is there, but not on another photo.
  useEffect(() => () => setMask(undefined), [image]);

  return { ready: image !== undefined, mask: prompt && mask, error };
}

async function draw(image: SamImage, prompt: Prompt, signal: AbortSignal): Promise<Drawn> {
  const [mask] = await image.segment(prompt, { signal });
  try {
    return { width: mask.width, height: mask.height, score: mask.score, path: await mask.toSvgPath() };
  } finally {
    mask.free();
  }
}

/** Frees what a promise brings, also if it comes after nobody wants it any more. */
function freeLater(promise: Promise<{ free(): void }>): void {
  promise.then(
    (held) => held.free(),
    () => undefined,
  );
}
