import { configure, fal, type FalSettings, type QueueStatus } from "tinysam";
import { element, masksInWords, onClick, seconds } from "./dom.js";
import { falGap, falInput, toFalCode, type Work } from "./snippet.js";

/** What the page has at hand when a request is made. */
export interface FalSource {
  photo(): Blob | undefined;
  work(): Work;
  /** The code goes to the clipboard. */
  copy(code: string): void;
}

/** The fal tab: the request that the page's photo and marks make, as code, and run. */
export class FalTab {
  readonly #source: FalSource;
  readonly #code = element("fal-code", HTMLElement);
  readonly #note = element("fal-note", HTMLElement);
  readonly #run = element("fal-run", HTMLButtonElement);
  readonly #status = element("fal-status", HTMLElement);
  readonly #log = element("fal-log", HTMLOListElement);
  readonly #picture = element("fal-picture", HTMLImageElement);
  #running: AbortController | undefined;
  #begun = 0;
  /** The states that the request has been in, and how many of its log lines are shown. */
  #states: string[] = [];
  #shown = 0;

  constructor(source: FalSource) {
    this.#source = source;
    this.#run.addEventListener("click", () => void (this.#running === undefined ? this.#subscribe() : this.#running.abort()));
    onClick("fal-copy", () => source.copy(toFalCode(source.work())));
  }

  /** Writes the request anew, for other marks. */
  showCode(): void {
    const work = this.#source.work();
    const gap = falGap(work);
    this.#code.textContent = toFalCode(work);
    this.#note.hidden = gap === undefined;
    this.#note.textContent = gap ?? "";
  }

  async #subscribe(): Promise<void> {
    const photo = this.#source.photo();
    if (photo === undefined) return;
    const running = (this.#running = new AbortController());
    const { weights, device, ...work } = this.#source.work();
    this.#begun = performance.now();
    this.#states = [];
    this.#shown = 0;
    this.#run.textContent = "Stop";
    this.#picture.hidden = true;
    this.#status.textContent = "Sent";
    this.#log.replaceChildren();
    configure({ ...weights, device: device as NonNullable<FalSettings["device"]> });
    try {
      const { data, requestId } = await fal.subscribe("fal-ai/tiny-sam", {
        input: { image_url: photo, ...falInput({ weights, device, ...work }) },
        logs: true,
        abortSignal: running.signal,
        onQueueUpdate: (update: QueueStatus) => this.#show(update),
      });
      const { url, width, height, file_size: bytes } = data.image;
      this.#picture.src = url;
      this.#picture.hidden = false;
      this.#status.textContent = `${masksInWords(data.masks?.length ?? 0)} on ${width} × ${height}, ${(bytes / 1000).toFixed(0)} kB, in ${seconds(performance.now() - this.#begun)}`;
      this.#line(`request ${requestId}`, "INFO");
    } catch (error) {
      this.#status.textContent = running.signal.aborted ? "Stopped." : error instanceof Error ? error.message : String(error);
    } finally {
      this.#running = undefined;
      this.#run.textContent = "Run";
    }
  }

  /** A status update as it comes: the request's state, and the log lines that are new. */
  #show(update: QueueStatus): void {
    const state = update.status === "IN_QUEUE" ? `${update.status} (${update.queue_position} before it)` : update.status;
    if (this.#states.at(-1) !== state) {
      this.#states.push(state);
      this.#status.textContent = this.#states.join(" → ");
      this.#line(state, "STATE");
    }
    const logs = "logs" in update ? update.logs : [];
    for (const { message, level } of logs.slice(this.#shown)) this.#line(message, level ?? "INFO");
    this.#shown = Math.max(this.#shown, logs.length);
  }

  #line(words: string, level: string): void {
    const line = document.createElement("li");
    const text = document.createElement(level === "STATE" ? "b" : "span");
    text.textContent = words;
    line.append(`${seconds(performance.now() - this.#begun)}  `, text);
    line.dataset.level = level;
    this.#log.append(line);
  }
}
