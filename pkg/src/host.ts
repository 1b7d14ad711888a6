import { Connection } from "./connection.js";
import { chooseDevice, type DeviceChoice, type DeviceKind } from "./device.js";
import { TinySamError, aborted, throwIfAborted } from "./errors.js";
import { Lane } from "./lane.js";
import type { EngineRecord } from "./protocol.js";
import type { Progress } from "./types.js";
import type { PreparedWeights } from "./weights.js";

/** What a host needs to start an engine, and to start it again. */
export interface HostOptions {
  readonly preference: "auto" | DeviceKind;
  readonly inWorker: boolean;
  readonly weights: PreparedWeights;
  readonly cache: boolean;
}

/** A started engine. */
interface Running {
  readonly connection: Connection;
  readonly device: DeviceChoice;
  readonly record: EngineRecord;
}

/** Failures of WebGPU after which `auto` goes on with the CPU. */
const TRY_CPU_AFTER = new Set(["device_unavailable", "device_lost", "out_of_memory", "crashed"]);

/**
 * Keeps one engine running: starts it, and after a crash starts another with the same weights for the next
 * call that needs one.
 * @internal
 */
export class Host {
  /** Calls on the engine, one at a time. */
  readonly lane = new Lane();
  readonly #options: HostOptions;
  #running: Running | undefined;
  #starting: Promise<Running> | undefined;
  #released: TinySamError | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  /** The device in use, or that of the last engine while none runs. */
  get device(): DeviceChoice {
    return this.#last().device;
  }

  get checkpointSha256(): string {
    return this.#last().record.checkpointSha256;
  }

  #last(): Running {
    if (this.#running === undefined) throw new TinySamError("internal", "no engine was started");
    return this.#running;
  }

  /** The live engine, started if there is none. */
  async start(onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    if (this.#released !== undefined) throw this.#released;
    if (this.#running !== undefined && this.#running.connection.death === undefined) return this.#running;
    this.#starting ??= this.#open(onProgress, signal).finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  /** Ends the engine for good. */
  release(): void {
    this.#released = new TinySamError("released", "this model was freed: load it again");
    this.lane.fail(this.#released);
    this.#running?.connection.close(this.#released);
    // One that is still starting is closed as soon as it has started.
    void this.#starting?.then(
      ({ connection }) => connection.close(new TinySamError("released", "this model was freed")),
      () => undefined,
    );
  }

  async #open(onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    const choice = await chooseDevice(this.#options.preference);
    throwIfAborted(signal);
    try {
      return (this.#running = await this.#connect(choice, onProgress, signal));
    } catch (error) {
      const retry = this.#options.preference === "auto" && choice.kind === "webgpu";
      if (!retry || !(error instanceof TinySamError) || !TRY_CPU_AFTER.has(error.code)) throw error;
      const reason = `WebGPU did not start (${error.message}), so the CPU is used`;
      return (this.#running = await this.#connect({ kind: "cpu", reason, software: false }, onProgress, signal));
    }
  }

  async #connect(device: DeviceChoice, onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    const connection = new Connection(device.kind, this.#options.inWorker, (reason) => this.lane.fail(reason));
    // Ending the engine is the surest stop: nothing half-loaded stays.
    const stop = () => connection.close(aborted(signal));
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const { weights, cache } = this.#options;
      const args = { weights, cache, forceSoftware: device.software };
      const record = await connection.call("load", args, onProgress ? { onEvent: onProgress } : {});
      return { connection, device, record };
    } catch (error) {
      connection.close(error as TinySamError);
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}
