import { watchCamera } from "./camera.js";
import { contentOf } from "./content.js";
import { element } from "./dom.js";
import { watchDropping } from "./dropping.js";
import { fetchFromUrl, fetchSample, readPhoto, sampleOf, SAMPLES, type Photo } from "./photos.js";

/** Every way to a photo, or to a checkpoint of one's own: the samples, a file, dropping, pasting, an address, the camera. */
export class PhotoChooser {
  readonly #open: (photo: Promise<Photo>, sample?: string) => void;
  readonly #takeCheckpoint: (file: File) => void;
  readonly #samples = element("samples", HTMLElement);

  /** A sample is told by its file, too: more of it than the photo may be on offer. */
  constructor(open: (photo: Promise<Photo>, sample?: string) => void, takeCheckpoint: (file: File) => void) {
    this.#open = open;
    this.#takeCheckpoint = takeCheckpoint;
    this.#samples.append(...SAMPLES.map((sample) => this.#sample(sample)));
    watchDropping(document.body, ({ file, address }) => {
      if (file !== undefined) void this.#take(file, isNamedCheckpoint(file));
      else if (address !== undefined) open(fetchFromUrl(address));
    });
    this.#watchInput("photo-file", isNamedCheckpoint);
    this.#watchInput("checkpoint-file", () => true);
    watchCamera(open);
    element("url-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      open(fetchFromUrl(element("photo-url", HTMLInputElement).value));
    });
  }

  /** The photo that is there before anything is chosen: a sample's file, an address, or the first sample. */
  openFirst(asked: string | undefined): void {
    if (asked === undefined) return this.#openSample(SAMPLES[0]);
    const sample = sampleOf(asked);
    if (sample === undefined) this.#open(fetchFromUrl(asked));
    else this.#openSample(sample);
  }

  /** Marks the sample that is on the stage, if one is. */
  show({ link }: Photo): void {
    for (const button of this.#samples.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.file === link));
  }

  #watchInput(id: string, isMeant: (file: File) => boolean): void {
    const input = element(id, HTMLInputElement);
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      if (file !== undefined) void this.#take(file, isMeant(file));
      // So that the same file can be chosen again.
      input.value = "";
    });
  }

  /** By what is in it, whatever it is called. Where that tells nothing, by what was probably meant. */
  async #take(file: File, isCheckpointMeant: boolean): Promise<void> {
    const { kind } = await contentOf(file).catch(() => ({ kind: "unknown" as const }));
    if (kind === "checkpoint" || (kind === "unknown" && isCheckpointMeant)) this.#takeCheckpoint(file);
    else this.#open(readPhoto(file, file.name));
  }

  #sample(sample: (typeof SAMPLES)[number]): HTMLButtonElement {
    const { file, title } = sample;
    const button = document.createElement("button");
    button.type = "button";
    button.title = title;
    button.dataset.file = file;
    const picture = new Image(120, 90);
    picture.src = `./photos/small/${file.replace(/\.\w+$/, "")}.jpg`;
    picture.alt = title;
    // Dropped on the photo it would be opened, small as it is.
    picture.draggable = false;
    button.append(picture);
    button.addEventListener("click", () => this.#openSample(sample));
    return button;
  }

  #openSample(sample: (typeof SAMPLES)[number]): void {
    this.#open(fetchSample(sample), sample.file);
  }
}

/** As people name what the engine knows, or explains why it does not. */
function isNamedCheckpoint({ name }: File): boolean {
  return /\.(pth|pt|bin|ckpt|pkl|tar|safetensors|sft|onnx|gguf)( ?\(\d+\))?$/i.test(name);
}
