import { contentOf, tooLarge } from "./content.js";

/** The photos that come with the page, and the place in each where a first mask is shown; public/photos/README.md says whose they are. */
export const SAMPLES = [
  { file: "coffee.png", title: "A cup of coffee", at: [250, 100] },
  { file: "chelsea.png", title: "A cat", at: [120, 80] },
  { file: "astronaut.png", title: "An astronaut", at: [230, 110] },
  { file: "rocket.jpg", title: "A rocket", at: [320, 200] },
] as const;

/** A photo to segment: its bytes for the engine, its pixels for the screen. */
export interface Photo {
  readonly name: string;
  readonly blob: Blob;
  readonly pixels: ImageBitmap;
  /** What a link can say of it: a sample's file, or the address that it came from. A photo of the user's own has none. */
  readonly link?: string;
}

/** A sample by its file's name, if there is one. */
export function sampleOf(file: string | undefined): (typeof SAMPLES)[number] | undefined {
  return SAMPLES.find((sample) => sample.file === file);
}

export async function fetchSample({ file, title }: (typeof SAMPLES)[number]): Promise<Photo> {
  return { ...(await fetchPhoto(`./photos/${file}`, title)), link: file };
}

/** A photo from anywhere, as far as its host lets other pages read it. */
export async function fetchFromUrl(address: string): Promise<Photo> {
  const name = nameOf(address);
  const { protocol, origin, href } = new URL(address, document.baseURI);
  if (protocol === "http:" && origin !== location.origin) {
    throw new Error(`“${name}” is at an http: address, which this page may not read. Try it with https:, or save the photo and drop it here.`);
  }
  try {
    return { ...(await fetchPhoto(href, name)), ...(protocol === "http:" || protocol === "https:" ? { link: href } : {}) };
  } catch (error) {
    // All that fetch says of a host that cannot be reached, or that does not allow it.
    if (!(error instanceof TypeError)) throw error;
    throw new Error(`“${name}” cannot be read: its host does not answer, or does not let other pages read it (CORS). Save the photo and drop it here.`);
  }
}

export async function readPhoto(blob: Blob, name: string): Promise<Photo> {
  const content = await contentOf(blob);
  const large = content.kind === "picture" && content.sides !== undefined ? tooLarge(content.sides) : undefined;
  if (large !== undefined) throw new Error(`“${name}” has ${large}.`);
  try {
    return { name, blob, pixels: await createImageBitmap(blob) };
  } catch {
    throw new Error(
      content.kind === "picture"
        ? `“${name}” is a ${content.format} that this browser cannot read: it may be damaged or cut off, or of a kind that it does not know.`
        : `“${name}” is not a photo that this browser can read. Try a JPEG, PNG or WebP.`,
    );
  }
}

/** A host may take so long to begin its answer, in milliseconds. */
const SILENCE_MS = 30_000;

async function fetchPhoto(address: string, name: string): Promise<Photo> {
  const stop = new AbortController();
  const silent = setTimeout(() => stop.abort(new Error(`“${name}” does not come: its host has not answered for ${SILENCE_MS / 1000} seconds.`)), SILENCE_MS);
  const response = await fetch(address, { signal: stop.signal }).finally(() => clearTimeout(silent));
  if (!response.ok) throw new Error(`The photo could not be fetched: status ${response.status}.`);
  return readPhoto(await response.blob(), name);
}

/** The last part of an address, in letters where they are letters: not every address is of UTF-8. */
function nameOf(address: string): string {
  const last = address.split(/[?#]/)[0]?.split("/").pop() || address;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
