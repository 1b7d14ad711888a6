import { TinySamError, tainted } from "./errors.js";
import { kindOf } from "./kinds.js";
import { PICTURE_LIMITS } from "./limits.js";
import { OLDEST } from "./oldest.js";
import type { ImageSource, PixelData } from "./types.js";
import { absoluteUrl } from "./weights.js";

/**
 * A picture that can be posted to a worker.
 * @internal
 */
export type PostableImage = string | Blob | ImageBitmap | VideoFrame | (PixelData & { readonly data: Uint8ClampedArray<ArrayBuffer> });

/**
 * Turns a source into something that a worker can receive, by what it is, whichever window it is from. Pixels are copied,
 * elements and canvases become an ImageBitmap; the caller's own bitmaps and frames are cloned, so that transferring
 * takes nothing away.
 * @internal
 */
export async function prepareSource(source: ImageSource): Promise<PostableImage> {
  if (typeof source === "string") {
    requireDecoder();
    return absoluteUrl(source, "image_unreachable");
  }
  const kind = kindOf(source);
  try {
    return await prepared(kind, source);
  } catch (cause) {
    if (cause instanceof TinySamError) throw cause;
    // What a getter of the platform says of a proxy, by the error of its own window: "Illegal invocation".
    if ((cause as Partial<Error>).name !== "TypeError") throw unreadable(cause);
    throw new TinySamError("image_invalid", `this ${kind || "picture"} cannot be read (${String(cause)}): if it is a proxy, give what is behind it (Vue: toRaw)`, { cause });
  }
}

/**
 * Whether a picture may take for ever to come: an element that loads lazily does as long as nobody scrolls to it.
 * @internal
 */
export function isLoading(source: ImageSource): boolean {
  return kindOf(source) === "HTMLImageElement" && !(source as HTMLImageElement).complete;
}

async function prepared(kind: string, source: Exclude<ImageSource, string>): Promise<PostableImage> {
  if (kind === "" || kind === "Object" || kind === "ImageData") {
    const pixels = copied(source as Partial<PixelData> & { colorSpace?: string });
    if (pixels !== undefined) return pixels;
  }
  requireDecoder();
  if (kind === "URL") return absoluteUrl(source as URL, "image_unreachable");
  switch (kind) {
    case "Blob":
    case "File":
      return source as Blob;
    case "VideoFrame":
      return (source as VideoFrame).clone();
    case "HTMLImageElement": {
      const image = source as HTMLImageElement;
      const { src, srcset } = image;
      await decoded(image, () => image.src === src && image.srcset === srcset);
      return bitmap(image, image.naturalWidth, image.naturalHeight);
    }
    case "HTMLVideoElement": {
      const video = source as HTMLVideoElement;
      if (video.readyState < video.HAVE_CURRENT_DATA) {
        throw new TinySamError("image_invalid", "the video shows no picture yet: wait for its loadeddata event");
      }
      return shown(video, video.videoWidth, video.videoHeight);
    }
    // Of another colour space than sRGB.
    case "ImageData":
    case "ImageBitmap":
    case "HTMLCanvasElement":
    case "OffscreenCanvas": {
      const drawn = source as ImageBitmap | ImageData | HTMLCanvasElement | OffscreenCanvas;
      return bitmap(drawn, drawn.width, drawn.height);
    }
    default: {
      const advice = kind === "ArrayBuffer" || ArrayBuffer.isView(source) ? "a file's bytes are given as `new Blob([bytes])`, pixels as { width, height, data }" : "give a URL, Blob, ImageData, ImageBitmap, image, canvas, video or { width, height, data }";
      throw new TinySamError("image_invalid", `${kind === "" ? "this" : `this ${kind}`} is no picture: ${advice}`);
    }
  }
}

function requireDecoder(): void {
  if (typeof createImageBitmap !== "undefined" && typeof OffscreenCanvas !== "undefined") return;
  throw new TinySamError("unsupported", `nothing here decodes pictures, as outside of browsers or before ${OLDEST}: give an ImageData, or { width, height, data }`);
}

/** A copy of pixels as `ImageData` has them, if these are such: what the caller does with them then is not seen. */
function copied(source: Partial<PixelData> & { colorSpace?: string }): PostableImage | undefined {
  const { width, height, data, colorSpace = "srgb" } = source ?? {};
  const bytes = kindOf(data);
  if (colorSpace !== "srgb" || data === undefined || (bytes !== "Uint8ClampedArray" && bytes !== "Uint8Array")) return undefined;
  if (!Number.isInteger(width) || !Number.isInteger(height) || data.length !== Number(width) * Number(height) * 4) {
    throw new TinySamError("image_invalid", `pixels are four bytes each (RGBA): ${width} × ${height} of them cannot be ${data.length} bytes`);
  }
  return { width: Number(width), height: Number(height), data: new Uint8ClampedArray(data) };
}

/**
 * What of a prepared picture moves to the worker in place of being copied.
 * @internal
 */
export function transferables(image: PostableImage): Transferable[] {
  if (typeof image === "string" || kindOf(image) === "Blob" || kindOf(image) === "File") return [];
  return "data" in (image as object) ? [(image as PixelData).data.buffer as ArrayBuffer] : [image as ImageBitmap];
}

/**
 * Frees a prepared picture that will not be posted after all.
 * @internal
 */
export function discard(image: PostableImage): void {
  if (typeof image === "object" && "close" in image) image.close();
}

async function bitmap(source: ImageBitmapSource, width: number, height: number): Promise<ImageBitmap> {
  checkSize(width, height);
  try {
    // As the engine decodes files (src/web/decode.rs): the same pixels by every way.
    return await createImageBitmap(source, { premultiplyAlpha: "none" });
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** What a video shows. Drawn, because Firefox's `createImageBitmap` forgets that a video is turned. */
function shown(video: HTMLVideoElement, width: number, height: number): ImageBitmap {
  checkSize(width, height);
  try {
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")?.drawImage(video, 0, 0, width, height);
    return canvas.transferToImageBitmap();
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** Before an element is turned into pixels. */
function checkSize(width: number, height: number): void {
  if (Math.max(width, height) <= PICTURE_LIMITS.side && width * height <= PICTURE_LIMITS.pixels) return;
  throw new TinySamError(
    "image_too_large",
    `this picture is ${width}×${height}; at most ${PICTURE_LIMITS.side} pixels a side and 100 megapixels can be segmented: make it smaller first`,
  );
}

function unreadable(cause: unknown): TinySamError {
  if (cause instanceof DOMException && cause.name === "SecurityError") return tainted(cause);
  const why = "was it closed, or is its file damaged or cut off?";
  return new TinySamError("image_invalid", `this picture gives no pixels: ${why} (${String(cause)})`, { cause });
}

/** Waits for an element's picture while it `isSame`: a gallery turns its pages in one element. */
async function decoded(image: HTMLImageElement, isSame: () => boolean): Promise<void> {
  const cause = await image.decode().catch((cause: unknown) => cause);
  // Browsers decline to decode what they show all the same: Safari an SVG, Firefox what loads lazily.
  if (cause !== undefined && isSame() && !image.complete) {
    await new Promise((resolve) => ["load", "error"].forEach((event) => image.addEventListener(event, resolve, { once: true })));
  }
  if (!isSame()) {
    throw new TinySamError("image_invalid", "the image element was given another picture before this one was read: give its address, or an element of its own");
  }
  if (cause === undefined || image.naturalWidth > 0) return;
  const address = image.currentSrc.slice(0, 120);
  const asked = "is it reachable, allowed by the page's policies (img-src, COEP), whole, and of a format that this browser reads?";
  const why = address === "" ? "it has no address yet" : `nothing readable came from ${address}: ${asked}`;
  throw new TinySamError("image_invalid", `the image element shows no picture (${String(cause)}): ${why}`, { cause });
}
