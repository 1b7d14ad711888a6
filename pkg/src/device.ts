import { TinySamError } from "./errors.js";

/** A device that the engine runs on: WebGPU, or the CPU in WebAssembly. */
export type DeviceKind = "webgpu" | "cpu";

/** What was chosen, and why. */
export interface DeviceChoice {
  readonly kind: DeviceKind;
  /** The reason, in words for people. */
  readonly reason: string;
  /** The GPU's name as far as the browser tells it; absent on the CPU. */
  readonly adapter?: string;
  /** How a loaded engine computes: the way to cut products on this GPU, or the processor's instruction set. */
  readonly instructions?: string;
  /** How many workers a loaded engine has: fewer than at first, when some have died. */
  readonly workers?: number;
  /** True if that GPU is a program on the CPU, which is many times slower than `cpu`. */
  readonly software: boolean;
}

/**
 * What a GPU, or its module, may fail with that the CPU need not. `internal` is there what its driver complains of.
 * @internal
 */
export const OF_THE_GPU: ReadonlySet<string> = new Set([
  "device_unavailable",
  "device_lost",
  "out_of_memory",
  "crashed",
  "internal",
  "module_unreachable",
  "unsupported",
]);

/** How long a browser may take to answer; some drivers never do. */
const PATIENCE_MS = 10_000;

/** Software rasterisers by name, for browsers without `isFallbackAdapter`. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b/i;

/**
 * Chooses where to run. `auto` is WebGPU on a real adapter, from which a device with the default limits could
 * be made, and else the CPU; a software adapter counts as none. `webgpu` takes a software adapter, too.
 * Touches no weights and no WebAssembly.
 *
 * @throws `device_unavailable` if `webgpu` is demanded and there is none.
 */
export async function chooseDevice(preference: "auto" | DeviceKind = "auto"): Promise<DeviceChoice> {
  if (preference === "cpu") return cpu("the CPU was asked for");
  if (preference !== "auto" && preference !== "webgpu") {
    throw new TinySamError("option_invalid", `device must be "auto", "webgpu" or "cpu", not "${String(preference)}"`);
  }
  const found = await probe();
  if ("missing" in found) {
    if (preference === "webgpu") {
      throw new TinySamError("device_unavailable", `WebGPU was asked for, but ${found.missing}: use device "cpu" or "auto"`);
    }
    return cpu(`${found.missing}, so the CPU is used`);
  }
  const { adapter, software } = found;
  if (preference === "webgpu") return { kind: "webgpu", reason: "WebGPU was asked for", adapter, software };
  if (software) return cpu(`the only WebGPU adapter is software (${adapter}), slower than the CPU itself, so the CPU is used`);
  return { kind: "webgpu", reason: `a GPU is available (${adapter})`, adapter, software };
}

function cpu(reason: string): DeviceChoice {
  return { kind: "cpu", reason, software: false };
}

/** Asks for an adapter and makes a device: `navigator.gpu` alone promises nothing. Whatever is odd there is no WebGPU. */
async function probe(): Promise<{ adapter: string; software: boolean } | { missing: string }> {
  let name: string | undefined;
  try {
    const gpu = globalThis.navigator?.gpu as GPU | null | undefined;
    if (!gpu) return { missing: "this browser has no WebGPU" };
    const adapter = await patiently(gpu.requestAdapter({ powerPreference: "high-performance" }));
    if (!adapter) return { missing: "WebGPU has no adapter on this machine" };
    const info = adapter.info as Partial<GPUAdapterInfo> | null | undefined;
    name = adapterName(info);
    (await patiently(adapter.requestDevice())).destroy();
    return { adapter: name, software: info?.isFallbackAdapter === true || SOFTWARE.test(name) };
  } catch (error) {
    const what = name === undefined ? "WebGPU gave no adapter" : `the WebGPU adapter (${name}) refused a device`;
    return { missing: `${what} (${text(error)})` };
  }
}

/** All that the browser tells of an adapter. Some tell nothing: Chrome before 127 has no `info`. */
function adapterName(info: Partial<GPUAdapterInfo> | null | undefined): string {
  const parts: unknown[] = [info?.vendor, info?.architecture, info?.device, info?.description];
  return parts.filter((part) => typeof part === "string" && part !== "").join(" ") || "unnamed";
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function patiently<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
