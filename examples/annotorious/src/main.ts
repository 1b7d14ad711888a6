import { createImageAnnotator, type ImageAnnotator } from "@annotorious/annotorious";
import "@annotorious/annotorious/annotorious.css";
import { TinySam, TinySamError, type SamImage } from "tinysam/engine";
import { annotate } from "./adapter";

const input = document.querySelector("input")!;
const status = document.querySelector("p")!;
const place = document.querySelector("#photo")!;
const listing = document.querySelector("pre")!;
const say = (text: string) => (status.textContent = text);

const loading = TinySam.load({ onProgress: ({ phase }) => say(`Loading (${phase})`) });
loading.then(() => say("Choose a photo."), complain);
let opened = new AbortController();

input.addEventListener("change", async () => {
  const [file] = input.files ?? [];
  if (file === undefined) return;
  opened.abort();
  opened = new AbortController();
  try {
    await open(file, opened.signal);
  } catch (error) {
    complain(error);
  }
});

/** Shows a photo that is annotated by clicks, until the signal aborts. */
async function open(file: File, signal: AbortSignal): Promise<void> {
  const address = URL.createObjectURL(file);
  const photo = new Image();
  photo.src = address;
  await photo.decode();
  signal.throwIfAborted();
  place.replaceChildren(photo);
  // Clicks are ours; what is annotated can still be selected and edited.
  const annotator = createImageAnnotator(photo, { drawingEnabled: false });
  let image: SamImage | undefined;
  signal.addEventListener("abort", () => {
    annotator.destroy();
    URL.revokeObjectURL(address);
    image?.free();
  });
  const sam = await loading;
  say("Looking at the photo");
  const embedded = await sam.embed(file, { signal });
  image = embedded;
  say("Click an object.");
  annotator.element.addEventListener("click", (event) => click(event, annotator, embedded, photo, signal));
}

async function click({ clientX, clientY }: MouseEvent, annotator: ImageAnnotator, image: SamImage, photo: HTMLImageElement, signal: AbortSignal): Promise<void> {
  // A click on an annotation selects it.
  if (annotator.getSelected().length > 0) return;
  const { left, top, width } = photo.getBoundingClientRect();
  const scale = photo.naturalWidth / width;
  try {
    await annotate(annotator, image, [(clientX - left) * scale, (clientY - top) * scale], signal);
    listing.textContent = JSON.stringify(annotator.getAnnotations(), undefined, 2);
  } catch (error) {
    complain(error);
  }
}

/** What was called off is no error: another photo has taken its place. */
function complain(error: unknown): void {
  const code = error instanceof TinySamError ? error.code : error instanceof DOMException && error.name === "AbortError" ? "aborted" : "";
  if (code !== "aborted") say(String(error));
}
