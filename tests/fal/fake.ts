/**
 * An engine in memory behind the router's one interface: what it answers, how long it takes and how it fails is told.
 */
import type { DeviceChoice } from "../../pkg/src/device.js";
import type { DoorEngine } from "../../pkg/src/fal/door.js";
import type { EngineAnswer } from "../../pkg/src/fal/endpoint.js";
import { result } from "./stand-in.js";

type RunOptions = Parameters<DoorEngine["run"]>[2];

export class FakeEngine implements DoorEngine {
  #gate: Promise<void> = Promise.resolve();
  choice: DeviceChoice | Error = { kind: "webgpu", reason: "a GPU is available (fake)", software: false };
  /** Makes every run wait until what is returned is called. */
  hold(): () => void {
    let letGo = () => {};
    this.#gate = new Promise((resolve) => (letGo = resolve));
    return letGo;
  }

  /** What the next runs fail with, in order; then they succeed. */
  readonly failures: (Error | EngineAnswer)[] = [];
  /** Every run: what it was given. */
  readonly runs: { input: unknown; image: Blob | undefined; device: string; aborted: boolean }[] = [];
  running = 0;
  mostRunning = 0;

  picture = new Blob(["a picture"], { type: "image/png" });
  /** What it is told to lack. */
  lack: string | undefined;
  /** What was loaded ahead, and how often it was let go. */
  readonly loads: string[] = [];
  released = 0;
  rested = 0;

  lacks(): string | undefined {
    return this.lack;
  }

  leaveGpu(reason: string): void {
    this.choice = { kind: "cpu", reason, software: false };
  }

  async load(device: string): Promise<void> {
    this.loads.push(device);
    const failure = this.failures.shift();
    if (failure instanceof Error) throw failure;
  }

  release(): void {
    this.released += 1;
  }

  reset(): void {
    this.release();
  }

  rest(): void {
    this.rested += 1;
  }

  async choose(): Promise<DeviceChoice> {
    if (this.choice instanceof Error) throw this.choice;
    return this.choice;
  }

  async run(input: unknown, image: Blob | undefined, { device, signal, onLog }: RunOptions): Promise<EngineAnswer> {
    const run = { input, image, device, aborted: false };
    this.runs.push(run);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      onLog({ level: "INFO", message: "the fake runs" });
      await Promise.race([this.#gate, new Promise((_, reject) => signal.addEventListener("abort", () => reject(coded("aborted"))))]);
      const failure = this.failures.shift();
      if (failure instanceof Error) throw failure;
      if (failure !== undefined) return failure;
      const [status, body] = result(input as Record<string, unknown> | null);
      if (status === 422) return { detail: (body as { detail: never[] }).detail, unreachable: false };
      return { picture: this.picture, width: 640, height: 480 };
    } finally {
      run.aborted = signal.aborted;
      this.running -= 1;
    }
  }
}

/** An error as the engine throws them. */
export function coded(code: string, more: { endsDevice?: true } = {}): Error {
  return Object.assign(new Error(`the engine says ${code}`), { code, ...more });
}

/** No WebGPU: `auto` is left with the CPU. */
export const ONLY_CPU: DeviceChoice = { kind: "cpu", reason: "this browser has no WebGPU, so the CPU is used", software: false };
