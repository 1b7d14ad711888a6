/** The photos that come with the page; public/photos/README.md says whose they are. */
export const SAMPLES = [
  { file: "coffee.png", title: "A cup of coffee" },
  { file: "chelsea.png", title: "A cat" },
  { file: "astronaut.png", title: "An astronaut" },
  { file: "rocket.jpg", title: "A rocket" },
] as const;

/** A photo to segment: its bytes for the engine, its pixels for the screen. */
export interface Photo {
  readonly name: string;
  readonly blob: Blob;
  readonly pixels: ImageBitmap;
}

export async function fetchPhoto(address: string, name: string): Promise<Photo> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`The photo could not be fetched: status ${response.status}.`);
  return readPhoto(await response.blob(), name);
}

/** A photo from anywhere, as far as its host lets other pages read it. */
export async function fetchFromUrl(address: string): Promise<Photo> {
  const name = decodeURIComponent(address.split(/[?#]/)[0]?.split("/").pop() || address);
  try {
    return await fetchPhoto(address, name);
  } catch (error) {
    // All that fetch says of a host that cannot be reached, or that does not allow it.
    if (!(error instanceof TypeError)) throw error;
    throw new Error(`“${name}” cannot be read: its host does not answer, or does not let other pages read it (CORS). Save the photo and drop it here.`);
  }
}

export async function readPhoto(blob: Blob, name: string): Promise<Photo> {
  try {
    return { name, blob, pixels: await createImageBitmap(blob) };
  } catch {
    throw new Error(`“${name}” is not a photo that this browser can read. Try a JPEG, PNG or WebP.`);
  }
}

/** Calls back with the files that are dropped on the page or pasted into it. */
export function watchFiles(root: HTMLElement, take: (files: File[]) => void): void {
  const dropping = (on: boolean) => root.classList.toggle("is-dropping", on);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    dropping(true);
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) dropping(false);
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(false);
    take([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
}
