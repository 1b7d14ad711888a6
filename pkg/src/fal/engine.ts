import { chooseDevice, type DeviceChoice, type DeviceKind } from "../device.js";
import { aborted } from "../errors.js";
import { TinySam, type LoadOptions } from "../sam.js";
import type { EngineAnswer, LocalEndpoint } from "./endpoint.js";

/** What the engine of fal's door is loaded with. */
export type EngineSettings = Pick<LoadOptions, "weights" | "sha256" | "cache" | "worker" | "onProgress">;

/** The real engine behind the router: one model, loaded by the first request that needs it, and kept. */
export class Engine implements LocalEndpoint {
  readonly #settings: () => EngineSettings & { device?: "auto" | DeviceKind | "fal" };
  #choice: Promise<DeviceChoice> | undefined;
  #loaded: { readonly device: DeviceKind; readonly sam: Promise<TinySam> } | undefined;

  constructor(settings: () => EngineSettings & { device?: "auto" | DeviceKind | "fal" }) {
    this.#settings = settings;
  }

  choose(): Promise<DeviceChoice> {
    const { device = "auto" } = this.#settings();
    this.#choice ??= chooseDevice(device === "fal" ? "auto" : device);
    // A refusal is asked about again: a browser may have its GPU back.
    this.#choice.catch(() => (this.#choice = undefined));
    return this.#choice;
  }

  async run(input: unknown, image: Blob | undefined, { device, signal, onLog }: Parameters<LocalEndpoint["run"]>[2]): Promise<EngineAnswer> {
    if (this.#loaded?.device !== device) onLog({ level: "INFO", message: "loading the model" });
    const sam = await orAborted(this.#load(device), signal);
    return sam.answer(input, image, { signal, onLog });
  }

  /** Ends the model, for other settings. Requests that it is working on fail with `released`. */
  reset(): void {
    this.#choice = undefined;
    const loaded = this.#loaded;
    this.#loaded = undefined;
    loaded?.sam.then((sam) => sam.free(), () => undefined);
  }

  #load(device: DeviceKind): Promise<TinySam> {
    if (this.#loaded?.device !== device) {
      this.reset();
      const loaded = { device, sam: TinySam.load({ ...this.#settings(), device }) };
      this.#loaded = loaded;
      // The next request tries again.
      loaded.sam.catch(() => this.#loaded === loaded && (this.#loaded = undefined));
    }
    return this.#loaded!.sam;
  }
}

/** A model that loads is shared: who aborts stops waiting, and nothing more. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal));
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
