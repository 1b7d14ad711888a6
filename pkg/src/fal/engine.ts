import type { LoadOptions } from "../calls.js";
import { chooseDevice, type DeviceChoice, type DeviceKind } from "../device.js";
import { TinySamError } from "../errors.js";
import { defined } from "../options.js";
import { TinySam } from "../sam.js";
import { orAborted } from "../signals.js";
import type { EngineAnswer, LocalEndpoint } from "./endpoint.js";

/** What the engine of fal's door is loaded with. */
export interface EngineSettings extends Pick<LoadOptions, "weights" | "sha256" | "model" | "cache" | "worker" | "workers" | "assets" | "onProgress"> {
  /**
   * Seconds without a request after which the model's memory is let go; the next request loads it again. Default: never
   * while the page is seen, since its next click is a moment away; after a minute in a hidden page, which a phone ends
   * sooner the more it holds, and in a worker, which cannot know.
   */
  readonly idle?: number;
}

type Settings = EngineSettings & { readonly device?: "auto" | DeviceKind | "fal" };

/**
 * What is needed of a loaded model.
 * @internal
 */
type Model = Pick<TinySam, "answer" | "free">;

/**
 * What else there is in the world; tests have their own.
 * @internal
 */
export interface Surroundings {
  readonly choose: typeof chooseDevice;
  readonly load: (options: LoadOptions) => Promise<Model>;
}

const UNSEEN_IDLE = 60;

/**
 * The real engine behind the router: one model, loaded by the first request that needs it, and kept.
 * @internal
 */
export class Engine implements LocalEndpoint {
  readonly #settings: () => Settings;
  readonly #surroundings: Surroundings;
  #choice: Promise<DeviceChoice> | undefined;
  #loaded: { readonly device: DeviceKind; readonly model: Promise<Model>; readonly stop: AbortController } | undefined;
  #busy = 0;
  #sleep: ReturnType<typeof setTimeout> | undefined;
  #watching = false;

  constructor(settings: () => Settings, surroundings: Surroundings = { choose: chooseDevice, load: (options) => TinySam.load(options) }) {
    this.#settings = settings;
    this.#surroundings = surroundings;
  }

  lacks(): string | undefined {
    if (typeof WebAssembly === "undefined" || typeof createImageBitmap === "undefined" || typeof MessageChannel === "undefined") {
      return "this is no browser, so there is nothing that decodes pictures: ask from a page, or let fal answer";
    }
    if (typeof Worker === "undefined" && this.#settings().worker !== false) {
      return "there are no Web Workers here, as in a service worker: ask from a page, or set `worker: false` in configure() and bundle into one file";
    }
    return undefined;
  }

  choose(): Promise<DeviceChoice> {
    const { device = "auto" } = this.#settings();
    if (this.#choice === undefined) {
      const choice = this.#surroundings.choose(device === "fal" ? "auto" : device);
      this.#choice = choice;
      // A refusal is asked about again: a browser may have its GPU back.
      choice.catch(() => this.#choice === choice && (this.#choice = undefined));
    }
    return this.#choice;
  }

  leaveGpu(reason: string): void {
    this.#choice = Promise.resolve({ kind: "cpu", reason, software: false });
  }

  async load(device: DeviceKind): Promise<void> {
    await this.#using(() => this.#load(device));
  }

  async run(input: unknown, image: Blob | undefined, { device, signal, onLog }: Parameters<LocalEndpoint["run"]>[2]): Promise<EngineAnswer> {
    return this.#using(async () => {
      if (this.#loaded?.device !== device) onLog({ level: "INFO", message: "loading the model" });
      const model = await orAborted(this.#load(device), signal);
      return model.answer(input, image, { signal, onLog });
    });
  }

  /** Lets the model go. A request that it is working on fails with `released`, and is tried again. */
  release(): void {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    loaded?.stop.abort();
    loaded?.model.then((model) => model.free(), () => undefined);
  }

  /** As {@link release}, for other settings: the device is chosen anew, too. */
  reset(): void {
    this.#choice = undefined;
    this.release();
  }

  #load(device: DeviceKind): Promise<Model> {
    if (this.#loaded?.device !== device) {
      this.release();
      const { weights, sha256, model, cache, worker, workers, assets, onProgress } = this.#settings();
      const options = defined({ weights, sha256, model, cache, worker, workers, assets, onProgress }) as LoadOptions;
      const stop = new AbortController();
      const loading = this.#surroundings.load({ ...options, device, signal: stop.signal }).catch((error: unknown) => {
        // Who waits for it has not called it off.
        throw stop.signal.aborted ? new TinySamError("released", "other settings came while the model was loaded") : error;
      });
      const loaded = { device, model: loading, stop };
      this.#loaded = loaded;
      // The next request tries again.
      loaded.model.catch(() => this.#loaded === loaded && (this.#loaded = undefined));
    }
    return this.#loaded!.model;
  }

  async #using<T>(work: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    try {
      return await work();
    } finally {
      this.#busy -= 1;
      this.rest();
    }
  }

  /** Sets the time after which an idle model is let go; called whenever something of that changes. */
  rest(): void {
    clearTimeout(this.#sleep);
    const page = globalThis.document as Document | undefined;
    if (!this.#watching) page?.addEventListener("visibilitychange", () => this.rest());
    this.#watching = true;
    const { idle = page?.visibilityState === "visible" ? Infinity : UNSEEN_IDLE } = this.#settings();
    if (this.#busy > 0 || this.#loaded === undefined || idle === Infinity) return;
    this.#sleep = setTimeout(() => this.#busy === 0 && this.release(), Math.min(idle * 1000, 2 ** 31 - 1));
  }
}
