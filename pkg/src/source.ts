import { TinySamError } from "./errors.js";
import type { ImageSource } from "./types.js";
import { absoluteUrl } from "./weights.js";

/**
 * A picture that can be posted to a worker.
 * @internal
 */
export type PostableImage = string | Blob | ImageBitmap | ImageData | VideoFrame;

/** The engine's own limits (src/error.rs), checked here before an element is turned into pixels. */
const MAX_SIDE = 16_384;
const MAX_PIXELS = 100_000_000;

/**
 * Turns a source into something that a worker can receive. Elements and canvases become an ImageBitmap;
 * the caller's own bitmaps and frames are cloned, so that transferring takes nothing away.
 * @internal
 */
export async function prepareSource(source: ImageSource): Promise<PostableImage> {
  if (typeof source === "string" || source instanceof URL) return absoluteUrl(source, "image_unreachable");
  if (source instanceof Blob || source instanceof ImageData) return source;
  if (isA(source, "VideoFrame")) return source.clone();
  if (isA(source, "HTMLImageElement")) {
    await decoded(source);
    return bitmap(source, source.naturalWidth, source.naturalHeight);
  }
  if (isA(source, "HTMLVideoElement")) {
    if (source.readyState < source.HAVE_CURRENT_DATA) {
      throw new TinySamError("image_invalid", "the video shows no picture yet: wait for its loadeddata event");
    }
    return bitmap(source, source.videoWidth, source.videoHeight);
  }
  if (isA(source, "ImageBitmap") || isA(source, "HTMLCanvasElement") || isA(source, "OffscreenCanvas")) {
    return bitmap(source, source.width, source.height);
  }
  throw new TinySamError("image_invalid", "this is no picture: give a URL, Blob, ImageData, ImageBitmap, image, canvas or video");
}

/**
 * What of a prepared picture moves to the worker in place of being copied.
 * @internal
 */
export function transferables(image: PostableImage): Transferable[] {
  return isA(image, "ImageBitmap") || isA(image, "VideoFrame") ? [image] : [];
}

/**
 * Frees a prepared picture that will not be posted after all.
 * @internal
 */
export function discard(image: PostableImage): void {
  if (isA(image, "ImageBitmap") || isA(image, "VideoFrame")) image.close();
}

async function bitmap(source: ImageBitmapSource, width: number, height: number): Promise<ImageBitmap> {
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
    throw new TinySamError(
      "image_too_large",
      `this picture is ${width}×${height}; at most ${MAX_SIDE} pixels a side and 100 megapixels can be segmented: make it smaller first`,
    );
  }
  try {
    // As the engine decodes files (src/web/decode.rs): the same pixels by every way.
    return await createImageBitmap(source, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch (cause) {
    throw new TinySamError("image_invalid", `this picture has no pixels to read: ${String(cause)}`, { cause });
  }
}

async function decoded(image: HTMLImageElement): Promise<void> {
  try {
    await image.decode();
  } catch (cause) {
    throw new TinySamError("image_invalid", `the image element has no readable picture: ${String(cause)}`, { cause });
  }
}

/** The classes that not every environment has (workers lack elements, some browsers lack VideoFrame). */
interface Classes {
  HTMLImageElement: HTMLImageElement;
  HTMLVideoElement: HTMLVideoElement;
  HTMLCanvasElement: HTMLCanvasElement;
  OffscreenCanvas: OffscreenCanvas;
  ImageBitmap: ImageBitmap;
  VideoFrame: VideoFrame;
}

function isA<Name extends keyof Classes>(value: unknown, name: Name): value is Classes[Name] {
  const constructor: unknown = Reflect.get(globalThis, name);
  return typeof constructor === "function" && value instanceof constructor;
}
