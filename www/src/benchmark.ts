import type { EverythingOptions, TinySam } from "tinysam";
import { version } from "tinysam/package.json";
import { element, masksInWords, milliseconds } from "./dom.js";
import { computing, deviceName, loading, memoryInWords, type Facts } from "./machine.js";
import type { Panel } from "./panel.js";
import type { Photo } from "./photos.js";
import { copyText } from "./saving.js";

/** How often each is measured: medians of fewer would say little, and more would try the patience. */
const ENCODES = 3;
const DECODES = 7;

/** What there is to measure, and what is known already. */
export interface Subject {
  readonly sam: TinySam;
  readonly photo: Photo;
  readonly facts: Facts;
  readonly everything: EverythingOptions;
}

interface Result {
  readonly encode: readonly number[];
  readonly decode: readonly number[];
  readonly everything?: { readonly ms: number; readonly masks: number };
  readonly memory: number;
}

/** The button that measures the engine on the photo, and the result, to be pasted wherever it is asked for. */
export class Benchmark {
  readonly #button = element("benchmark", HTMLButtonElement);
  readonly #everything = element("benchmark-everything", HTMLInputElement);
  readonly #box = element("benchmark-result", HTMLElement);
  readonly #text = element("benchmark-text", HTMLElement);
  readonly #panel: Panel;
  #running: AbortController | undefined;

  constructor(panel: Panel, subject: () => Subject | undefined) {
    this.#panel = panel;
    this.#button.addEventListener("click", () => {
      const now = subject();
      if (this.#running !== undefined) this.#running.abort();
      else if (now !== undefined) void this.#run(now);
    });
    element("benchmark-copy", HTMLButtonElement).addEventListener("click", () =>
      void copyText(panel, this.#text.textContent ?? "", "The result is in the clipboard."));
  }

  allow(ready: boolean): void {
    this.#button.disabled = !ready;
    // Another model or photo: what was measured was not it.
    if (!ready) this.#running?.abort();
  }

  async #run(subject: Subject): Promise<void> {
    const { signal } = (this.#running = new AbortController());
    this.#button.textContent = "Stop";
    try {
      const say = (words: string) => this.#panel.showBusy("benchmark", `Benchmark: ${words}`);
      const result = await measure(subject, this.#everything.checked, signal, say);
      this.#text.textContent = toMarkdown(subject, result);
      this.#box.hidden = false;
      this.#panel.announce("The benchmark is done.");
    } catch (error) {
      if (!signal.aborted) this.#panel.showError(error);
    } finally {
      this.#running = undefined;
      this.#button.textContent = "Benchmark";
      this.#panel.showBusy("benchmark", undefined);
    }
  }
}

/** Every time is the page's: from the call to its answer, the way to the worker and back in it. */
async function measure({ sam, photo, facts: { size }, everything }: Subject, withEverything: boolean, signal: AbortSignal, say: (words: string) => void): Promise<Result> {
  const { width, height } = photo.pixels;
  const encode: number[] = [];
  const decode: number[] = [];
  for (let i = 0; i < ENCODES; i++) {
    say(`encode ${i + 1} of ${ENCODES}`);
    const [ms, image] = await timed(() => sam.embed(photo.blob, { size, signal }));
    encode.push(ms);
    try {
      if (i < ENCODES - 1) continue;
      for (let j = 0; j < DECODES; j++) {
        say(`decode ${j + 1} of ${DECODES}`);
        const x = (width * (j + 1)) / (DECODES + 1);
        const [decodeMs, masks] = await timed(() => image.segment({ points: [[x, height / 2]] }, { signal }));
        decode.push(decodeMs);
        for (const mask of masks) mask.free();
      }
      if (!withEverything) continue;
      const onProgress = ({ done, total }: { done: number; total: number }) => say(`everything, ${done} of ${total} points`);
      const [everythingMs, masks] = await timed(() => image.everything({ ...everything, signal, onProgress }).masks);
      for (const mask of masks) mask.free();
      return { encode, decode, everything: { ms: everythingMs, masks: masks.length }, memory: await sam.memory() };
    } finally {
      image.free();
    }
  }
  return { encode, decode, memory: await sam.memory() };
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, value: T]> {
  const begun = performance.now();
  const value = await work();
  return [performance.now() - begun, value];
}

/** A table for an issue or a message. */
function toMarkdown({ photo, facts, everything }: Subject, result: Result): string {
  const { device, checkpoint, sha256 = "", size, load, phases } = facts;
  const { deviceMemory } = navigator as { deviceMemory?: number };
  const rows: (readonly [string, string])[] = [
    ["Version", `tinysam ${version}`],
    ["Device", device === undefined ? "unknown" : `${deviceName(device)}: ${device.reason}`],
    ...(device?.adapter === undefined ? [] : [["Adapter", device.adapter] as const]),
    ...(device === undefined ? [] : [["Computes", computing(device)] as const]),
    ["Checkpoint", `${checkpoint}, SHA-256 ${sha256.slice(0, 12)}…`],
    ["Photo", `${photo.pixels.width} × ${photo.pixels.height}`],
    ["Size", String(size)],
    ["Load", load === undefined ? "unknown" : loading(load, phases)],
    ["Encode", spread(result.encode)],
    ["Decode one point", spread(result.decode)],
    ["Everything", result.everything === undefined ? "not measured" : `${milliseconds(result.everything.ms)}, ${everything.pointsPerSide} points a side, ${masksInWords(result.everything.masks)}`],
    ["Memory", memoryInWords(result.memory, device?.kind === "webgpu")],
    ["Machine", `${navigator.hardwareConcurrency} threads, ${deviceMemory === undefined ? "unknown memory" : `${deviceMemory} GB or about that`}`],
    ["Browser", navigator.userAgent],
  ];
  const cell = (words: string) => words.replaceAll("|", "\\|");
  return `| | |\n|---|---|\n${rows.map(([name, value]) => `| ${name} | ${cell(value)} |\n`).join("")}`;
}

/** The median, and how far the others are from it. */
function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [least = 0, most = 0, median = 0] = [sorted[0], sorted.at(-1), sorted[sorted.length >> 1]];
  return `${milliseconds(median)}, median of ${times.length} (${milliseconds(least)} to ${milliseconds(most)})`;
}
