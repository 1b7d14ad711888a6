import type { EngineAnswer, FalImage } from "./endpoint.js";
import { read } from "./uploads.js";

/**
 * `data:` URIs over so many characters become a Blob: WebAssembly's memory, through which they would go, never shrinks.
 */
const LONG = 1_000_000;

/** The picture of an input, where it is at hand without the engine's fetching it. */
export async function pictureOf(image_url: unknown): Promise<Blob | undefined> {
  if (typeof image_url !== "string") return undefined;
  // The engine, in its worker, knows no addresses of this kind.
  if (/^[a-z]+(-web)?-extension:/.test(image_url)) return read(image_url);
  return image_url.length > LONG ? decoded(image_url) : undefined;
}

/** The bytes of a `data:` URI in base64; nothing, where it is another text, about which the engine has the word. */
function decoded(uri: string): Blob | undefined {
  const comma = uri.indexOf(",");
  const [, type] = /^data:([^;,]*)(?:;[^;,]*)*;base64$/i.exec(uri.slice(0, comma)) ?? [];
  if (type === undefined) return undefined;
  // Which servers put into lines, and `atob` skips: pieces would not end where bytes do.
  const letters = uri.slice(comma + 1).replace(/[\t\n\f\r ]+/g, "");
  try {
    // By hand, for a page's Content-Security-Policy may forbid fetching it; and in pieces, for there are long ones.
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let start = 0; start < letters.length; start += LONG) {
      parts.push(Uint8Array.from(atob(letters.slice(start, start + LONG)), (letter) => letter.charCodeAt(0)));
    }
    return new Blob(parts, { type });
  } catch {
    return undefined;
  }
}

/**
 * The engine's picture as fal describes one; as a `data:` URI, if that is asked for or this place has no `blob:` URLs.
 */
export async function described({ picture, width, height }: Extract<EngineAnswer, { picture: Blob }>, name: string, whole: boolean): Promise<FalImage> {
  const shown = !whole && typeof URL.createObjectURL === "function";
  const url = shown ? URL.createObjectURL(picture) : await dataUri(picture);
  return { url, content_type: "image/png", file_name: name, file_size: picture.size, width, height };
}

async function dataUri(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let letters = "";
  // As many arguments as every browser takes.
  for (let start = 0; start < bytes.length; start += 0x8000) letters += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return `data:${blob.type};base64,${btoa(letters)}`;
}
