import { TinySamError, type DeviceChoice, type Mask, type Progress } from "tinysam";
import { element, fillFacts, megabytes, milliseconds } from "./dom.js";
import type { Stage } from "./stage.js";

/** How long each phase took, in milliseconds. */
export interface Timings {
  load?: number;
  encode?: number;
  decode?: number;
}

const PHASES: Readonly<Record<Progress["phase"], string>> = {
  module: "Fetching the engine",
  download: "Downloading the weights",
  verify: "Checking the weights' hash",
  prepare: "Building the network",
  warmup: "Warming up the device",
};

/** The words and numbers beside the photo. */
export class Panel {
  readonly #chip = element("device-chip", HTMLElement);
  readonly #loading = element("loading", HTMLElement);
  readonly #progress = element("progress", HTMLProgressElement);
  readonly #progressText = element("progress-text", HTMLElement);
  readonly #error = element("error", HTMLElement);
  readonly #busy = element("busy", HTMLElement);
  readonly #busyText = element("busy-text", HTMLElement);
  readonly #maskHint = element("mask-hint", HTMLElement);
  readonly #maskFacts = element("mask-facts", HTMLElement);
  readonly #refine = element("refine", HTMLButtonElement);
  readonly #machine = element("machine-facts", HTMLElement);
  readonly #announce = element("announce", HTMLElement);
  #mask: Mask | undefined;
  #downloadBegun: number | undefined;

  showProgress({ phase, loaded, total }: Progress): void {
    this.#loading.hidden = false;
    if (phase !== "download" || loaded === undefined) {
      this.#progress.removeAttribute("value");
      this.#progressText.textContent = `${PHASES[phase]}…`;
      return;
    }
    this.#downloadBegun ??= performance.now();
    const seconds = (performance.now() - this.#downloadBegun) / 1000;
    const speed = seconds > 0.5 ? `, ${megabytes(loaded / seconds)} MB/s` : "";
    const of = total === undefined ? "" : ` of ${megabytes(total)}`;
    if (total !== undefined) this.#progress.value = loaded / total;
    this.#progressText.textContent = `${PHASES[phase]}: ${megabytes(loaded)}${of} MB${speed}`;
  }

  hideProgress(): void {
    this.#downloadBegun = undefined;
    this.#loading.hidden = true;
  }

  showDevice(device: DeviceChoice | undefined): void {
    const name = device === undefined ? "…" : device.kind === "cpu" ? "CPU" : device.software ? "WebGPU (software)" : "WebGPU";
    this.#chip.textContent = name;
    this.#chip.dataset.kind = device?.kind ?? "";
    this.#chip.title = device?.reason ?? "Where the model runs";
  }

  showMachine(device: DeviceChoice | undefined, sha256: string, timings: Timings): void {
    const rows: [string, string][] = [];
    if (device !== undefined) rows.push(["Why this device", device.reason], ["Weights' SHA-256", `${sha256.slice(0, 12)}…`]);
    for (const [name, ms] of [["Load", timings.load], ["Encode", timings.encode], ["Decode", timings.decode]] as const) {
      if (ms !== undefined) rows.push([name, milliseconds(ms)]);
    }
    fillFacts(this.#machine, rows);
  }

  /** What goes on on the stage, or nothing. */
  showBusy(words: string | undefined): void {
    this.#busy.hidden = words === undefined;
    this.#busyText.textContent = words ?? "";
  }

  /** The picked mask's measures, and what can be done now. */
  showStage({ layers, isPicking, isRefining }: Stage): void {
    const mask = layers.picked?.mask;
    const mode = isRefining ? "refine" : isPicking ? "pick" : mask === undefined ? "mark" : "";
    for (const hint of this.#maskHint.children) if (hint instanceof HTMLElement) hint.hidden = hint.dataset.mode !== mode;
    this.#refine.hidden = !isRefining && !(isPicking && mask !== undefined);
    this.#refine.textContent = isRefining ? "Done" : "Refine";
    this.#maskFacts.hidden = mask === undefined;
    if (mask === undefined || mask === this.#mask) return;
    this.#mask = mask;
    const share = (100 * mask.area) / (mask.width * mask.height);
    fillFacts(this.#maskFacts, [
      ["Score", mask.score.toFixed(3)],
      ["Stability", mask.stability.toFixed(3)],
      ["Area", `${mask.area.toLocaleString("en")} px (${share.toFixed(1)} %)`],
      ["Box", mask.bbox.map(Math.round).join(", ")],
    ]);
    this.announce(`Mask found: score ${mask.score.toFixed(2)}, ${share.toFixed(0)} percent of the photo.`);
  }

  showError(error: unknown): void {
    this.#error.hidden = error === undefined;
    this.#error.textContent = error === undefined ? "" : inWords(error);
    if (error instanceof TinySamError) this.#error.dataset.code = error.code;
    else delete this.#error.dataset.code;
  }

  /** Said to screen readers. */
  announce(words: string): void {
    this.#announce.textContent = words;
  }
}

/** The error with what to do next, where the page knows more than the package. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  if (!(error instanceof TinySamError)) return message;
  switch (error.code) {
    case "checkpoint_unreachable":
      return `${message}. Choose another checkpoint, or download one and drop it here.`;
    case "crashed":
    case "device_lost":
      return `${message}. It is being started again.`;
    default:
      return `${message}.`;
  }
}
