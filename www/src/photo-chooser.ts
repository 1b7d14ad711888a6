import { watchCamera } from "./camera.js";
import { element } from "./dom.js";
import { fetchFromUrl, fetchPhoto, readPhoto, SAMPLES, watchFiles, type Photo } from "./photos.js";

/** Every way to a photo: the samples, a file, dropping, pasting, an address, the camera. */
export class PhotoChooser {
  readonly #open: (photo: Promise<Photo>) => void;
  readonly #samples = element("samples", HTMLElement);

  /** `takeOther` gets the files that are no photos. */
  constructor(open: (photo: Promise<Photo>) => void, isPhoto: (file: File) => boolean, takeOther: (file: File) => void) {
    this.#open = open;
    this.#samples.append(...SAMPLES.map((sample) => this.#sample(sample)));
    const take = ([file]: readonly File[]) => {
      if (file === undefined) return;
      if (isPhoto(file)) open(readPhoto(file, file.name));
      else takeOther(file);
    };
    watchFiles(document.body, take);
    for (const id of ["photo-file", "checkpoint-file"]) {
      const input = element(id, HTMLInputElement);
      input.addEventListener("change", () => {
        take([...(input.files ?? [])]);
        // So that the same file can be chosen again.
        input.value = "";
      });
    }
    watchCamera(open);
    element("url-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      open(fetchFromUrl(element("photo-url", HTMLInputElement).value));
    });
  }

  /** The photo that is there before anything is chosen. */
  openFirst(): void {
    const { file, title } = SAMPLES[0];
    this.#open(fetchPhoto(`./photos/${file}`, title));
  }

  /** Marks the sample of this name, if it is one. */
  show(name: string): void {
    for (const button of this.#samples.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.title === name));
  }

  #sample({ file, title }: { file: string; title: string }): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.title = title;
    const picture = new Image();
    picture.src = `./photos/${file}`;
    picture.alt = title;
    button.append(picture);
    button.addEventListener("click", () => this.#open(fetchPhoto(picture.src, title)));
    return button;
  }
}
