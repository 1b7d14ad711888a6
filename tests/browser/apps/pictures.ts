/** Pictures as they come: what the engine sees of them, beside what the browser itself shows. */
import { TinySam, TinySamError, type ImageSource } from "tinysam";

/** Sides, and the colours in the middles of the four quarters: top left, top right, bottom left, bottom right. */
export interface Seen {
  readonly sides: readonly [width: number, height: number];
  readonly colours: readonly (readonly number[])[];
}

/** A picture, or `code: message`, and how far its pixels are from those of the browser's own `<img>` at most. */
export type Outcome = (Seen & { readonly apart?: number }) | string;

/** A file by its address, or made here. */
export type Given = string | { readonly bytes: readonly number[] | string; readonly type?: string };

let loaded: Promise<TinySam> | undefined;
const model = () => (loaded ??= TinySam.load({ weights: "/models/formula.safetensors", device: "cpu", size: 64 }));

/** Pixels as an engine without masks gives them back. */
async function embedded(source: ImageSource): Promise<ImageData> {
  const image = await (await model()).embed(source);
  const photo = await image.toBlob([]);
  image.free();
  return drawn(await createImageBitmap(photo));
}

/** Pixels as the browser draws them, on white as the engine sees them. */
function drawn(source: CanvasImageSource & { readonly width: number; readonly height: number }, width = source.width, height = source.height): ImageData {
  const context = new OffscreenCanvas(width, height).getContext("2d")!;
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function seen({ width, height, data }: ImageData): Seen {
  const at = (x: number, y: number) => {
    const start = 4 * (Math.floor(y * height) * width + Math.floor(x * width));
    return [...data.subarray(start, start + 3)];
  };
  return { sides: [width, height], colours: [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)] };
}

/** What comes of a source, beside what is shown of it. */
async function outcome(source: ImageSource, shown?: ImageData): Promise<Outcome> {
  try {
    const pixels = await embedded(source);
    if (shown === undefined) return seen(pixels);
    const same = pixels.data.length === shown.data.length && pixels.width === shown.width;
    const apart = same ? pixels.data.reduce((most, value, i) => Math.max(most, Math.abs(value - shown.data[i]!)), 0) : 256;
    return { ...seen(pixels), apart };
  } catch (error) {
    return error instanceof TinySamError ? `${error.code}: ${error.message}` : `not ours: ${error}`;
  }
}

/** A file by both ways to its pixels: its bytes, and the element that shows it. (An address is fetched, and then bytes.) */
export async function pictures(given: readonly Given[]): Promise<{ file: Outcome; element: Outcome }[]> {
  const found = [];
  for (const one of given) {
    const blob =
      typeof one === "string"
        ? await (await fetch(one)).blob()
        : new File([typeof one.bytes === "string" ? one.bytes : new Uint8Array(one.bytes)], "photo", { type: one.type ?? "" });
    const address = URL.createObjectURL(blob);
    const element = Object.assign(new Image(), { src: address });
    const shown = await element.decode().then(() => drawn(element, element.naturalWidth, element.naturalHeight), () => undefined);
    found.push({ file: await outcome(blob, shown), element: await outcome(element, shown) });
    URL.revokeObjectURL(address);
  }
  return found;
}

/** The sides of an element that shows a file. */
export async function sides(address: string): Promise<[width: number, height: number]> {
  const element = Object.assign(new Image(), { src: address });
  await element.decode();
  return [element.naturalWidth, element.naturalHeight];
}

/** A video, one of its frames and, where the browser turns such, frames turned here, each beside what the browser draws of it. */
export async function videos(address: string): Promise<{ name: string; embedded: Outcome; shown: Seen }[]> {
  const video = Object.assign(document.createElement("video"), { muted: true, src: address, preload: "auto" });
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(`the video cannot be read: ${video.error?.message}`));
  });
  const found = [];
  const shown = drawn(video, video.videoWidth, video.videoHeight);
  found.push({ name: "video", embedded: await outcome(video, shown), shown: seen(shown) });
  const canvas = new OffscreenCanvas(32, 16);
  const context = canvas.getContext("2d")!;
  for (const [colour, x, y] of [["#f00", 0, 0], ["#0f0", 16, 0], ["#00f", 0, 8], ["#ff0", 16, 8]] as const) {
    context.fillStyle = colour;
    context.fillRect(x, y, 16, 8);
  }
  const frames: Record<string, () => VideoFrame> = { "frame of the video": () => new VideoFrame(video, { timestamp: 0 }) };
  for (const rotation of [0, 90, 180, 270]) {
    for (const flip of [false, true]) {
      // Browsers that do not know these two leave the frame as it is.
      frames[`turned by ${rotation}${flip ? " and flipped" : ""}`] = () => new VideoFrame(canvas, { timestamp: 0, rotation, flip } as VideoFrameInit);
    }
  }
  for (const [name, make] of Object.entries(frames)) {
    const frame = make();
    const shown = drawn(frame as never, frame.displayWidth, frame.displayHeight);
    found.push({ name, embedded: await outcome(frame, shown), shown: seen(shown) });
    frame.close();
  }
  return found;
}
