import type { LoadOptions } from "tinysam";
import { findCheckpoints, fromFile, OFFICIAL, type Checkpoint } from "./checkpoints.js";
import { element } from "./dom.js";

export type Device = "auto" | "webgpu" | "cpu";

/** Checkpoint, device and size: what the model is loaded with. */
export class ModelChooser {
  readonly #checkpoint = element("checkpoint", HTMLSelectElement);
  readonly #note = element("checkpoint-note", HTMLElement);
  readonly #device = element("device", HTMLSelectElement);
  readonly #size = element("size", HTMLSelectElement);
  #checkpoints: readonly Checkpoint[] = [OFFICIAL];

  /** `?device=cpu&size=256` of the address are chosen, for tests and for links. */
  constructor(changed: () => void) {
    const asked = new URLSearchParams(location.search);
    const size = Number(asked.get("size"));
    if (size >= 64 && size < 256 && size % 64 === 0) this.#size.add(new Option(String(size)));
    for (const [name, select] of [["device", this.#device], ["size", this.#size]] as const) {
      const value = asked.get(name);
      if ([...select.options].some((option) => option.value === value)) select.value = value ?? select.value;
    }
    for (const select of [this.#checkpoint, this.#device, this.#size]) select.addEventListener("change", changed);
  }

  get checkpoint(): Checkpoint {
    return this.#checkpoints[this.#checkpoint.selectedIndex] ?? OFFICIAL;
  }

  get device(): Device {
    return this.#device.value as Device;
  }

  /** The side at which the network works: the checkpoint's own, unless another was chosen. */
  get size(): number {
    return this.#size.value === "auto" ? this.checkpoint.size : Number(this.#size.value);
  }

  get options(): Pick<LoadOptions, "weights" | "sha256" | "device" | "size"> {
    return { ...this.checkpoint.weights, device: this.device, size: this.size };
  }

  /** Looks for what is on offer. */
  async find(): Promise<void> {
    this.#list(await findCheckpoints());
  }

  /** A checkpoint of the user's, which is chosen. */
  add(file: File): void {
    this.#list([fromFile(file), ...this.#checkpoints]);
  }

  /** Chooses the checkpoint beside the page; false if there is none, or it is the chosen one. */
  chooseSpare(): boolean {
    const spare = this.#checkpoints.findIndex(({ beside }) => beside);
    if (spare < 0 || this.checkpoint.beside) return false;
    this.#checkpoint.selectedIndex = spare;
    return true;
  }

  showNote(): void {
    this.#note.textContent = this.checkpoint.note;
  }

  #list(checkpoints: readonly Checkpoint[]): void {
    this.#checkpoints = checkpoints;
    this.#checkpoint.replaceChildren(...checkpoints.map(({ label }) => new Option(label)));
    this.showNote();
  }
}
