import type { LoadOptions } from "tinysam";
import { findCheckpoints, fromFile, OFFICIAL, type Checkpoint } from "./checkpoints.js";
import { element } from "./dom.js";
import type { Link } from "./link.js";

export type Device = "auto" | "webgpu" | "cpu";

/** What to load: a checkpoint, on a device. */
export interface Choice {
  readonly checkpoint: Checkpoint;
  readonly device: Device;
}

/** Checkpoint, device and size: what the model is loaded with. */
export class ModelChooser {
  readonly #checkpoint = element("checkpoint", HTMLSelectElement);
  readonly #note = element("checkpoint-note", HTMLElement);
  readonly #device = element("device", HTMLSelectElement);
  readonly #size = element("size", HTMLSelectElement);
  #checkpoints: readonly Checkpoint[] = [OFFICIAL];

  /** Device and size that the address asks for are chosen, for tests and for links. `resized` needs no other model. */
  constructor(asked: Link, changed: () => void, resized: () => void) {
    const size = Number(asked.size);
    if (size >= 64 && size <= 1024 && size % 64 === 0 && !hasOption(this.#size, asked.size)) this.#size.add(new Option(String(size)));
    for (const [select, value] of [[this.#device, asked.device], [this.#size, asked.size]] as const) {
      if (value !== undefined && hasOption(select, value)) select.value = value;
    }
    for (const select of [this.#checkpoint, this.#device]) select.addEventListener("change", changed);
    this.#size.addEventListener("change", resized);
  }

  get choice(): Choice {
    return { checkpoint: this.#checkpoints[this.#checkpoint.selectedIndex] ?? OFFICIAL, device: this.#device.value as Device };
  }

  /** The one beside the page, for a first look and for where there is no other network. */
  get spare(): Checkpoint | undefined {
    return this.#checkpoints.find(({ spare }) => spare);
  }

  /** The size that was chosen, if any was. */
  get chosenSize(): number | undefined {
    return this.#size.value === "auto" ? undefined : Number(this.#size.value);
  }

  /** The side at which the network works: the checkpoint's own, unless another was chosen. */
  sizeFor(checkpoint: Checkpoint): number {
    return this.chosenSize ?? checkpoint.size;
  }

  /** Looks for what is on offer. */
  async find(asked: string | undefined): Promise<void> {
    this.#list(await findCheckpoints(asked));
  }

  /** A checkpoint of the user's, which is chosen. */
  add(file: File): void {
    this.#list([fromFile(file), ...this.#checkpoints]);
  }

  /** Shows this as chosen: what runs, when it is not what was chosen last. */
  show({ checkpoint, device }: Choice): void {
    this.#checkpoint.selectedIndex = this.#checkpoints.indexOf(checkpoint);
    this.#device.value = device;
    this.#note.textContent = checkpoint.note;
  }

  /** Shows the size that is in use, where the one that was chosen cannot be. */
  showSize(size: number, checkpoint: Checkpoint): void {
    if (this.sizeFor(checkpoint) !== size) this.#size.value = size === checkpoint.size ? "auto" : String(size);
  }

  #list(checkpoints: readonly Checkpoint[]): void {
    this.#checkpoints = checkpoints;
    this.#checkpoint.replaceChildren(...checkpoints.map(({ label }) => new Option(label)));
    this.show(this.choice);
  }
}

export function optionsOf({ checkpoint, device }: Choice): Pick<LoadOptions, "weights" | "sha256" | "device"> {
  return { ...checkpoint.weights, device };
}

function hasOption(select: HTMLSelectElement, value: string | undefined): boolean {
  return [...select.options].some((option) => option.value === value);
}
