import { configure, fal, type FalSettings, type Prompt, type QueueStatus, type TinySamInput } from "tinysam";
import { element } from "./dom.js";

/** What the page has at hand when a request is made. */
export interface FalSource {
  photo(): Blob | undefined;
  prompt(): Prompt;
  size(): number;
  settings(): FalSettings;
}

/** The fal tab: the request that the page's photo and marks make, as code, and run. */
export class FalTab {
  readonly #source: FalSource;
  readonly #code = element("fal-code", HTMLElement);
  readonly #run = element("fal-run", HTMLButtonElement);
  readonly #status = element("fal-status", HTMLElement);
  readonly #log = element("fal-log", HTMLOListElement);
  readonly #picture = element("fal-picture", HTMLImageElement);
  #running: AbortController | undefined;

  constructor(source: FalSource) {
    this.#source = source;
    this.#run.addEventListener("click", () => void (this.#running === undefined ? this.#subscribe() : this.#running.abort()));
    const tabs = [element("mask-tab", HTMLButtonElement), element("fal-tab", HTMLButtonElement)];
    for (const tab of tabs) {
      tab.addEventListener("click", () => choose(tabs, tab));
      tab.addEventListener("keydown", ({ key }) => {
        if (key === "ArrowLeft" || key === "ArrowRight") tabs.find((other) => other !== tab)?.click();
      });
    }
    this.showCode();
  }

  /** Writes the request anew, for other marks. */
  showCode(): void {
    const lines = Object.entries(this.#input()).map(([name, value]) => `    ${name}: ${JSON.stringify(value)},\n`);
    this.#code.textContent = `import { fal } from "tinysam";

const result = await fal.subscribe("fal-ai/tiny-sam", {
  input: {
    image_url: photo,
${lines.join("")}  },
  logs: true,
  onQueueUpdate: (update) => show(update),
});`;
  }

  #input(): Omit<TinySamInput, "image_url"> {
    const { points, labels, box, boxes = box === undefined ? [] : [box] } = this.#source.prompt();
    const round = (numbers: readonly number[]) => numbers.map(Math.round);
    return {
      size: this.#source.size(),
      ...(boxes.length === 0 ? {} : { box_prompt: boxes.map((one) => round(one) as unknown as typeof one) }),
      ...(points === undefined ? {} : { point_prompt: points.map((point) => round(point) as unknown as typeof point) }),
      ...(labels === undefined ? {} : { point_label: labels }),
      ...(box === undefined || points === undefined ? {} : { combine: "joint" }),
    };
  }

  async #subscribe(): Promise<void> {
    const photo = this.#source.photo();
    if (photo === undefined) return;
    const running = (this.#running = new AbortController());
    const begun = performance.now();
    this.#run.textContent = "Stop";
    this.#picture.hidden = true;
    this.#log.replaceChildren();
    configure(this.#source.settings());
    try {
      const { data, requestId } = await fal.subscribe("fal-ai/tiny-sam", {
        input: { image_url: photo, ...this.#input() },
        logs: true,
        abortSignal: running.signal,
        onQueueUpdate: (update: QueueStatus) => this.#show(update),
      });
      this.#picture.src = data.image.url;
      this.#picture.hidden = false;
      const seconds = ((performance.now() - begun) / 1000).toFixed(2);
      this.#status.textContent = `${data.image.width} × ${data.image.height}, ${(data.image.file_size / 1000).toFixed(0)} kB, in ${seconds} s (request ${requestId})`;
    } catch (error) {
      this.#status.textContent = running.signal.aborted ? "Stopped." : error instanceof Error ? error.message : String(error);
    } finally {
      this.#running = undefined;
      this.#run.textContent = "Run";
    }
  }

  #show(update: QueueStatus): void {
    this.#status.textContent = update.status === "IN_QUEUE" ? `${update.status}, ${update.queue_position} before it` : update.status;
    if (!("logs" in update)) return;
    this.#log.replaceChildren(
      ...update.logs.map(({ message, level }) => {
        const line = document.createElement("li");
        line.textContent = message;
        line.dataset.level = level;
        return line;
      }),
    );
  }
}

function choose(tabs: readonly HTMLButtonElement[], chosen: HTMLButtonElement): void {
  for (const tab of tabs) {
    const selected = tab === chosen;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    element(tab.getAttribute("aria-controls") ?? "", HTMLElement).hidden = !selected;
  }
  chosen.focus();
}
