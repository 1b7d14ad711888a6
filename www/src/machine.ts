import type { DeviceChoice, TinySam } from "tinysam";
import { element, fillFacts, megabytes, milliseconds } from "./dom.js";
import type { PhaseTimes } from "./phases.js";
import type { Encoding } from "./state.js";

/** What is known of the engine and how long it takes; times are in milliseconds, memory in bytes. */
export interface Facts {
  readonly checkpoint: string;
  /** What the checkpoint is not good for, in few words. */
  readonly caution: string;
  readonly size: number;
  readonly device?: DeviceChoice;
  readonly sha256?: string;
  readonly load?: number;
  readonly phases?: PhaseTimes;
  readonly encode?: Encoding;
  readonly decode?: number;
  readonly memory?: number;
}

const PHASES: Readonly<Record<keyof PhaseTimes, string>> = {
  module: "engine",
  download: "download",
  verify: "check",
  prepare: "prepare",
  warmup: "warm up",
};

/** The truth about the machine: a chip in the header, a line under the photo, and all of it in the Model tab. */
export class Machine {
  readonly #chip = element("device-chip", HTMLElement);
  readonly #status = element("status", HTMLElement);
  readonly #list = element("machine-facts", HTMLElement);

  show({ checkpoint, caution, size, device, sha256 = "", load, phases, encode, decode, memory }: Facts): void {
    const name = device === undefined ? "Starting…" : deviceName(device);
    this.#chip.textContent = name;
    this.#chip.dataset.kind = device?.kind ?? "";
    this.#chip.title = device === undefined ? "Where the model runs" : `${name}: ${device.reason}. More under “Model”.`;

    const label = document.createElement("b");
    label.textContent = checkpoint;
    const parts = [name, `size ${size}`];
    if (encode !== undefined) parts.push(encode === "beforehand" ? "encoded beforehand" : `encode ${milliseconds(encode)}`);
    if (decode !== undefined) parts.push(`decode ${milliseconds(decode)}`);
    this.#status.replaceChildren(label, caution === "" ? "" : ` (${caution})`, ` · ${parts.join(" · ")}`);

    const rows: [string, string][] = [];
    if (device !== undefined) rows.push(["Why this device", device.reason], ["Weights’ SHA-256", `${sha256.slice(0, 12)}…`]);
    if (device?.adapter !== undefined) rows.push(["Adapter", `${device.adapter}${device.software ? " (software)" : ""}`]);
    if (device !== undefined) rows.push(["Computes", computing(device)]);
    if (load !== undefined) rows.push(["Load", loading(load, phases)]);
    if (encode !== undefined) rows.push(["Encode", encode === "beforehand" ? "none: this sample comes encoded" : milliseconds(encode)]);
    if (decode !== undefined) rows.push(["Decode", milliseconds(decode)]);
    if (memory !== undefined) rows.push(["Memory", memoryInWords(memory, device?.kind === "webgpu")]);
    fillFacts(this.#list, rows);
  }
}

export function deviceName({ kind, software }: DeviceChoice): string {
  return kind === "cpu" ? "CPU" : software ? "WebGPU (software)" : "WebGPU";
}

/** With what: the instruction set and the workers of a processor, or the way in which a GPU cuts products. */
export function computing({ kind, instructions = "unknown", workers = 1 }: DeviceChoice): string {
  if (kind === "webgpu") return `products cut as ${instructions}`;
  return `${instructions === "simd128" ? "SIMD" : "relaxed SIMD"} on ${workers === 1 ? "one worker" : `${workers} workers`}`;
}

/** The whole, and its phases that took any time. */
export function loading(load: number, phases: PhaseTimes = {}): string {
  const parts = Object.entries(phases).filter(([, ms]) => ms >= 10);
  const words = parts.map(([phase, ms]) => `${PHASES[phase as keyof PhaseTimes]} ${milliseconds(ms)}`);
  return milliseconds(load) + (words.length === 0 ? "" : ` (${words.join(", ")})`);
}

/** What is known of the memory, and what is not. */
export function memoryInWords(wasm: number, webgpu: boolean): string {
  // Chromium alone tells, and of the page's own thread alone.
  const heap = (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize;
  const page = heap === undefined ? "" : `, ${megabytes(heap)} MB of JavaScript`;
  return `${megabytes(wasm)} MB of WebAssembly${page}${webgpu ? "; browsers do not tell the GPU’s" : ""}`;
}

/** The engine's memory, unless it is gone meanwhile. */
export async function memoryOf(sam: TinySam): Promise<number | undefined> {
  return sam.memory().catch(() => undefined);
}
