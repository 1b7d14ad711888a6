import { TinySamError, type Mask, type Progress } from "tinysam";
import { element, fillFacts, megabytes, onClick } from "./dom.js";

/** What a click on the photo does now, or what is to be said in place of it: `made` is a mask, and needs no words. */
export type Mode = "mark" | "made" | "pick" | "refine" | "none";

/** Whose work goes on. What began last is shown, until it ends. */
export type Work = "photo" | "load" | "encode" | "everything" | "benchmark";

const PHASES: Readonly<Record<Progress["phase"], string>> = {
  module: "Fetching the engine",
  download: "Downloading the weights",
  verify: "Checking the weights’ hash",
  prepare: "Building the network",
  warmup: "Warming up the device",
};

/** How long a toast stays, in milliseconds. */
const TOAST_MS = 3500;

/** The page's words: what goes on over the photo, the picked mask's measures, errors, and what is said aloud. */
export class Panel {
  readonly #progress = element("progress", HTMLProgressElement);
  readonly #alert = element("alert", HTMLElement);
  readonly #error = element("error", HTMLElement);
  readonly #busy = element("busy", HTMLElement);
  readonly #busyText = element("busy-text", HTMLElement);
  readonly #maskHint = element("mask-hint", HTMLElement);
  readonly #maskFacts = element("mask-facts", HTMLElement);
  readonly #refine = element("refine", HTMLButtonElement);
  readonly #announce = element("announce", HTMLElement);
  readonly #toast = element("toast", HTMLElement);
  readonly #behind = element("behind", HTMLElement);
  readonly #behindText = element("behind-text", HTMLElement);
  readonly #going = new Map<Work, { readonly words: string; readonly part: number | undefined }>();
  #mask: Mask | undefined;
  #downloadBegun: number | undefined;
  #toastTimer = 0;

  constructor() {
    onClick("error-close", () => this.showError(undefined));
  }

  showProgress({ phase, loaded, total }: Progress): void {
    if (phase !== "download" || loaded === undefined) {
      this.#downloadBegun = undefined;
      return this.showBusy("load", `${PHASES[phase]}…`);
    }
    this.#downloadBegun ??= performance.now();
    const seconds = (performance.now() - this.#downloadBegun) / 1000;
    const speed = seconds > 0.5 ? `, ${megabytes(loaded / seconds)} MB/s` : "";
    const of = total === undefined ? "" : ` of ${megabytes(total)}`;
    this.showBusy("load", `${PHASES[phase]}: ${megabytes(loaded)}${of} MB${speed}`, total === undefined ? undefined : loaded / total);
  }

  /** What goes on on the stage, how far it is where that is known, or its end. */
  showBusy(work: Work, words: string | undefined, part?: number): void {
    if (words === undefined) this.#going.delete(work);
    else this.#going.set(work, { words, part });
    const last = [...this.#going.values()].at(-1);
    this.#busy.hidden = last === undefined;
    this.#busyText.textContent = last?.words ?? "";
    this.#progress.hidden = last?.part === undefined;
    if (last?.part !== undefined) this.#progress.value = last.part;
  }

  /** What is downloaded behind the work on the stage, or nothing. */
  showBehind(words: string | undefined): void {
    this.#behind.hidden = words === undefined;
    this.#behindText.textContent = words ?? "";
  }

  /** The picked mask's measures, and what can be done now. */
  showStage(mode: Mode, mask: Mask | undefined): void {
    const isRefining = mode === "refine";
    for (const hint of this.#maskHint.children) if (hint instanceof HTMLElement) hint.hidden = hint.dataset.mode !== mode;
    this.#refine.hidden = !isRefining && !(mode === "pick" && mask !== undefined);
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

  /** An error, or none; `restarting`, if what it ended is on its way back. */
  showError(error: unknown, restarting = false): void {
    this.#alert.hidden = error === undefined;
    this.#error.textContent = error === undefined ? "" : `${inWords(error)}${restarting ? " It is being started again." : ""}`;
    if (error instanceof TinySamError) this.#error.dataset.code = error.code;
    else delete this.#error.dataset.code;
    // In one column the photo, over which it stands, may have been scrolled away.
    if (error !== undefined) this.#alert.scrollIntoView({ block: "nearest" });
  }

  /** Said to screen readers: who sees the page sees it. */
  announce(words: string): void {
    this.#announce.textContent = words;
  }

  /** Said and shown, for what would not be seen otherwise. */
  notify(words: string): void {
    this.announce(words);
    this.#toast.textContent = words;
    this.#toast.hidden = false;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = window.setTimeout(() => (this.#toast.hidden = true), TOAST_MS);
  }
}

/** The error with what to do next, where the page knows more than the package. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message.charAt(0).toUpperCase() + error.message.slice(1).replace(/\.$/, "");
  if (!(error instanceof TinySamError)) return `${message}.`;
  switch (error.code) {
    case "checkpoint_unreachable":
      return `${message}. Choose another checkpoint under “Model”, or download one and drop it here.`;
    case "checkpoint_invalid":
    case "checkpoint_mismatch":
    case "checkpoint_hash":
      return `${message}. Choose another checkpoint under “Model”, or drop one here.`;
    case "device_unavailable":
      return `${message}. Choose another device under “Model”.`;
    case "out_of_memory":
      return `${message}. Choose a smaller size under “Model”, open a smaller photo, or close other tabs.`;
    default:
      return `${message}.`;
  }
}
