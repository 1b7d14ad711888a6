/** An engine in memory behind the router's one interface: what it answers, how long it takes and how it fails is told. */
import type { EngineAnswer, LocalEndpoint } from "../../pkg/src/fal/endpoint.js";
import type { DeviceChoice } from "../../pkg/src/device.js";
import { result } from "./stand-in.js";

type RunOptions = Parameters<LocalEndpoint["run"]>[2];

export class FakeEngine implements LocalEndpoint {
  /** Milliseconds that a run takes. */
  duration = 20;
  choice: DeviceChoice | Error = { kind: "webgpu", reason: "a GPU is available (fake)", software: false };
  /** What the next runs fail with, in order; then they succeed. */
  readonly failures: (Error | EngineAnswer)[] = [];
  /** Every run: what it was given. */
  readonly runs: { input: unknown; image: Blob | undefined; device: string; aborted: boolean }[] = [];
  running = 0;
  mostRunning = 0;

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
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, this.duration);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(coded("aborted"));
        });
      });
      const failure = this.failures.shift();
      if (failure instanceof Error) throw failure;
      if (failure !== undefined) return failure;
      const [status, body] = result(input as Record<string, unknown> | null);
      if (status === 422) return { detail: (body as { detail: never[] }).detail, unreachable: false };
      return { picture: new Blob(["a picture"], { type: "image/png" }), width: 640, height: 480 };
    } finally {
      run.aborted = signal.aborted;
      this.running -= 1;
    }
  }
}

/** An error as the engine throws them. */
export function coded(code: string): Error {
  return Object.assign(new Error(`the engine says ${code}`), { code });
}

/** No WebGPU: `auto` is left with the CPU. */
export const ONLY_CPU: DeviceChoice = { kind: "cpu", reason: "this browser has no WebGPU, so the CPU is used", software: false };
