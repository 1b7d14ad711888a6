import { TinySam, TinySamError, type SamImage } from "tinysam/engine";

const main = document.querySelector("main")!;
const status = document.querySelector("p")!;
const say = (text: string) => (status.textContent = text);

/** The weights must be those that made the embeddings. They are loaded at the first click, for one model. */
let loading: Promise<TinySam> | undefined;
function load(): Promise<TinySam> {
  loading ??= TinySam.load({ onProgress: ({ phase }) => say(`Loading (${phase})`) });
  loading.catch(() => (loading = undefined));
  return loading;
}

/** The photo in use: 2 MB of it are downloaded, and none of its pixels are encoded here. */
let used: { name: string; image: Promise<SamImage> } | undefined;
let asked = new AbortController();

const names: string[] = await fetch("index.json")
  .then((response) => response.json())
  .catch(() => (say("There are no photos yet: README.md says how to make them."), []));
for (const name of names) {
  const photo = new Image();
  photo.src = name;
  photo.alt = name;
  const canvas = document.createElement("canvas");
  const figure = document.createElement("figure");
  figure.append(photo, canvas);
  main.append(figure);
  photo.addEventListener("click", ({ offsetX, offsetY }) => {
    const scale = photo.naturalWidth / photo.clientWidth;
    asked.abort();
    asked = new AbortController();
    segment(name, [offsetX * scale, offsetY * scale], canvas, asked.signal).catch((error: unknown) => {
      // What was called off is no error: something newer runs in its place.
      if (!(error instanceof TinySamError && error.code === "aborted")) say(String(error));
    });
  });
}

async function segment(name: string, point: [number, number], canvas: HTMLCanvasElement, signal: AbortSignal): Promise<void> {
  const image = await restored(name);
  const [mask] = await image.segment({ points: [point] }, { signal });
  const path = await mask.toPath2D();
  mask.free();
  if (signal.aborted) return;
  canvas.width = mask.width;
  canvas.height = mask.height;
  const context = canvas.getContext("2d")!;
  context.fillStyle = "#1e90ff99";
  context.fill(path);
  say(`${name}: score ${mask.score.toFixed(2)}`);
}

/** The photo as the model knows it. The one before is let go. */
function restored(name: string): Promise<SamImage> {
  if (used?.name !== name) {
    used?.image.then(
      (image) => image.free(),
      () => undefined,
    );
    const image = load().then(async (sam) => {
      const response = await fetch(`${name}.tinysam`);
      if (!response.ok) throw new Error(`${name}.tinysam: status ${response.status}`);
      return sam.restore(await response.arrayBuffer());
    });
    used = { name, image };
    // The next click tries again.
    image.catch(() => used?.image === image && (used = undefined));
  }
  return used!.image;
}
