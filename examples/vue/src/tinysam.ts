import { onScopeDispose, onWatcherCleanup, shallowRef, watch, type Ref } from "vue";
import { TinySam, type ImageSource, type Progress, type Prompt, type SamImage } from "tinysam/engine";

/** A mask as it is drawn: `path` is the `d` of an SVG path in the photo's pixels. */
export interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly score: number;
  readonly path: string;
}

/** Loads the model, and lets go of it with the component. Components that use it share one engine. */
export function useTinySam() {
  const sam = shallowRef<TinySam>();
  const progress = shallowRef<Progress>();
  const error = shallowRef<string>();
  const stop = new AbortController();
  const loading = TinySam.load({ signal: stop.signal, onProgress: (now) => (progress.value = now) });
  loading.then(
    (loaded) => (sam.value = loaded),
    (reason: unknown) => (error.value = String(reason)),
  );
  onScopeDispose(() => {
    stop.abort();
    freeLater(loading);
  });
  return { sam, progress, error };
}

/**
 * The mask of a prompt on a photo. A new photo stops the encoding of the last one, a new prompt the decoding of the
 * last one.
 */
export function useSegmentation(sam: Ref<TinySam | undefined>, photo: Ref<ImageSource | undefined>, prompt: Ref<Prompt | undefined>) {
  const image = shallowRef<SamImage>();
  const mask = shallowRef<Drawn>();
  const error = shallowRef<string>();

  watch([sam, photo], ([sam, photo]) => {
    image.value = mask.value = error.value = undefined;
    if (sam === undefined || photo === undefined) return;
    const stop = new AbortController();
    const embedding = sam.embed(photo, { signal: stop.signal });
    onWatcherCleanup(() => {
      stop.abort();
      freeLater(embedding);
    });
    embedding.then(
      (embedded) => stop.signal.aborted || (image.value = embedded),
      (reason: unknown) => stop.signal.aborted || (error.value = String(reason)),
    );
  }, { immediate: true });

  watch([image, prompt], ([image, prompt]) => {
    if (image === undefined || prompt === undefined) return void (mask.value = undefined);
    error.value = undefined;
    const stop = new AbortController();
    onWatcherCleanup(() => stop.abort());
    draw(image, prompt, stop.signal).then(
      (drawn) => stop.signal.aborted || (mask.value = drawn),
      (reason: unknown) => stop.signal.aborted || (error.value = String(reason)),
    );
  }, { immediate: true });

  return { image, mask, error };
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
