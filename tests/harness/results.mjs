// Where a run leaves what xtask reads: `tensors.json` lists what lies in `tensors.bin`, one after the other.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export class Results {
  #folder;
  #file;
  #tensors = [];

  constructor(folder) {
    this.#folder = folder;
    this.#file = openSync(join(folder, "tensors.bin"), "w");
  }

  /** `bytes`: little-endian f32. */
  add(meta, bytes) {
    writeSync(this.#file, bytes);
    this.#tensors.push({ ...meta, count: bytes.byteLength / 4 });
  }

  finish(facts) {
    closeSync(this.#file);
    writeFileSync(join(this.#folder, "tensors.json"), JSON.stringify({ facts, tensors: this.#tensors }));
  }
}
