import { assetsOf, howToServe } from "./assets.js";
import { Connection, type Line } from "./connection.js";
import { Crew, workersHere } from "./crew.js";
import { OF_THE_GPU, chooseDevice, type DeviceChoice, type DeviceKind } from "./device.js";
import { TinySamError, aborted, throwIfAborted } from "./errors.js";
import { Lane } from "./lane.js";
import { openLocal } from "./local.js";
import type { Lines } from "./exchange.js";
import type { EngineRecord } from "./protocol.js";
import { notServed } from "./served.js";
import { startWorker, type WorkerMaker } from "./start.js";
import type { ModelName, Progress } from "./types.js";
import type { PreparedWeights } from "./weights.js";

/** What a host needs to start an engine, and to start it again. */
export interface HostOptions {
  readonly preference: "auto" | DeviceKind;
  readonly worker: boolean | WorkerMaker;
  /** How many, on the CPU; undefined: as many as this machine is good for. */
  readonly workers: number | undefined;
  /** The folder of the package's files, where an application names it. */
  readonly assets: string | URL | undefined;
  readonly weights: PreparedWeights;
  readonly model: ModelName | undefined;
  readonly cache: boolean;
}

/** A started engine. */
interface Running {
  readonly connection: Connection;
  readonly device: DeviceChoice;
  readonly record: EngineRecord;
  /** Its other workers, where it has any. */
  readonly crew: Crew | undefined;
}

/** How long loading waits for workers after the first; those that take longer join later. */
const PATIENCE_MS = 2000;

/**
 * Keeps one engine running: starts it, and after a crash starts another with the same weights for the next
 * call that needs one. Where a GPU failed a call and the choice was ours, the other one is on the CPU.
 * @internal
 */
export class Host {
  /** Calls on the engine, one at a time. */
  readonly lane = new Lane();
  readonly #options: HostOptions;
  #running: Running | undefined;
  #starting: Promise<Running> | undefined;
  /** How a GPU failed in the middle of a call. It would fail the next one, too: under `auto` it is left for the CPU. */
  #failedGpu: TinySamError | undefined;
  #released: TinySamError | undefined;
  /** Stops a start that nobody else can: a restart's. */
  readonly #stop = new AbortController();
  /** Workers that an engine may have at most, since one died: memory may have been the reason. */
  #atMost = Infinity;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  /** The device in use, or that of the last engine while none runs. */
  get device(): DeviceChoice {
    const { device, record, crew } = this.#last();
    return { ...device, instructions: record.kernels, workers: crew?.count ?? 1 };
  }

  /** Whether an engine runs, and on the CPU. */
  get isOnCpu(): boolean {
    return this.#running?.device.kind === "cpu" && this.#running.connection.death === undefined;
  }

  get checkpointSha256(): string {
    return this.#last().record.checkpointSha256;
  }

  /** Bytes of WebAssembly memory of all its workers. */
  async memory(): Promise<number> {
    const { connection, crew } = await this.start();
    const [first, others] = await Promise.all([connection.call("memory", {}), crew?.memory() ?? 0]);
    return first + others;
  }

  #last(): Running {
    if (this.#running === undefined) throw new TinySamError("internal", "no engine was started");
    return this.#running;
  }

  /** The live engine, started if there is none. */
  async start(onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    if (this.#released !== undefined) throw this.#released;
    if (this.#running !== undefined && this.#running.connection.death === undefined) return this.#running;
    this.#starting ??= this.#open(onProgress, signal ?? this.#stop.signal)
      .catch((error: unknown) => {
        throw this.#released ?? error;
      })
      .finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  /** Ends the engine for good. */
  release(): void {
    this.#released = new TinySamError("released", "this model was freed: load it again");
    this.#stop.abort();
    this.lane.fail(this.#released);
    this.#running?.connection.close(this.#released);
    // One that is still starting is closed as soon as it has started.
    void this.#starting?.then(
      ({ connection }) => connection.close(new TinySamError("released", "this model was freed")),
      () => undefined,
    );
  }

  async #open(onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    const { preference } = this.#options;
    if (preference === "auto" && this.#failedGpu !== undefined) {
      const reason = `the GPU failed (${this.#failedGpu.message}), so the CPU is used`;
      return (this.#running = await this.#connect({ kind: "cpu", reason, software: false }, onProgress, signal));
    }
    const choice = await chooseDevice(preference);
    throwIfAborted(signal);
    try {
      return (this.#running = await this.#connect(choice, onProgress, signal));
    } catch (error) {
      const retry = preference === "auto" && choice.kind === "webgpu";
      if (!retry || !(error instanceof TinySamError) || !OF_THE_GPU.has(error.code)) throw error;
      const reason = `WebGPU did not start (${error.message}), so the CPU is used`;
      return (this.#running = await this.#connect({ kind: "cpu", reason, software: false }, onProgress, signal));
    }
  }

  async #connect(device: DeviceChoice, onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    const { weights, model, cache, worker, assets } = this.#options;
    const { kind } = device;
    const files = assetsOf(kind, assets);
    const script = worker === true ? { address: files.worker, howToServe: () => howToServe(kind, assets) } : worker;
    const line = script === false ? openLocal(kind, files.wasm) : await startWorker(kind, script, signal);
    let started = false;
    const crew = script === false || kind === "webgpu" ? undefined : this.#crew(() => startWorker(kind, script, signal));
    const close = () => {
      line.close();
      crew?.close(new TinySamError("released", "its engine has ended"));
    };
    const connection = new Connection(kind, { ...line, close }, (reason) => {
      if (started && kind === "webgpu") this.#failedGpu = reason;
      if (crew !== undefined) this.#atMost = Math.max(1, crew.count - 1);
      this.lane.fail(reason);
    });
    // Ending the engine is the surest stop: nothing half-loaded stays.
    const stop = () => connection.close(aborted(signal));
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const adapter = device.adapter === undefined ? {} : { adapter: device.adapter };
      const lines: Lines = crew?.lines ?? new Map<number, MessagePort>();
      const args = { wasm: files.wasm, weights, model, cache, forceSoftware: device.software, lines, ...adapter };
      const loaded = connection.call("load", args, { transfer: [...lines.values()], ...(onProgress && { onEvent: onProgress }) });
      const mustered = crew?.muster(connection);
      const record = await loaded;
      started = true;
      if (mustered !== undefined) await Promise.race([mustered, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
      return { connection, device, record, crew };
    } catch (error) {
      connection.close(error as TinySamError);
      if (!(error instanceof TinySamError) || error.code !== "module_unreachable") throw error;
      const fault = await notServed(files.wasm);
      const advice = fault
        ? `${files.wasm} ${fault}: ${howToServe(kind, assets)}`
        : `is the page online, does its connect-src allow ${files.wasm}, and if that is another origin, does it send CORS headers?`;
      throw new TinySamError(error.code, `${error.message}: ${advice}`, { cause: error });
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The other workers of an engine on the CPU. */
  #crew(start: () => Promise<Line>): Crew | undefined {
    const count = Math.min(this.#options.workers ?? workersHere(), this.#atMost);
    if (count < 2) return undefined;
    const crew: Crew = new Crew(count, start, () => (this.#atMost = Math.min(this.#atMost, crew.count)));
    return crew;
  }
}
