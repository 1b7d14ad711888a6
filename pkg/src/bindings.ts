import type { Fault, LogLine, TinySamMask } from "./fal/endpoint.js";
import type { Batch } from "./mates.js";
import type { ModelName } from "./types.js";

/**
 * What this package needs of a WebAssembly module (src/web/bindings.rs), written out because the two modules
 * must agree and the generated declarations say `any` in places. check/bindings.ts holds the generated
 * declarations against these.
 * @internal
 */
export interface EngineModule {
  /** wasm-bindgen's initialiser: fetches and compiles the module and gives what that exports. */
  default(from: { readonly module_or_path: string | WebAssembly.Module }): Promise<{ readonly memory: WebAssembly.Memory }>;
  readonly Engine: EngineClass;
}

/** @internal */
export interface EngineClass {
  load(
    weights: string | Blob,
    options: EngineOptions,
    onProgress: (progress: EngineProgress) => void,
    signal?: AbortSignal,
  ): Promise<Engine>;
  /** Of the CPU's module: the engine of another worker than the first. */
  join?(weights: Uint8Array, sha256: string): Promise<CrewEngine>;
}

/**
 * The engine of a worker that takes parts of another's work.
 * @internal
 */
export interface CrewEngine extends Engine {
  /** `rgb`: the rows of pixels that the part is of. `job`: how rows are exchanged with the other workers of this encode. */
  part(part: object, rgb: Uint8Array, job: object): Promise<void>;
}

/** @internal */
export interface EngineOptions {
  sha256?: string;
  model?: ModelName;
  cache?: boolean;
  forceSoftware?: boolean;
  /** What the browser tells of the GPU: how products are cut is chosen by it until it is measured. */
  adapter?: string;
  /** The other workers, on the CPU. */
  mates?: object;
}

/** @internal */
export interface EngineProgress {
  phase: "download" | "verify" | "prepare" | "warmup";
  loaded?: number;
  total?: number;
}

/** @internal */
export interface Engine {
  readonly backend: string;
  readonly checkpointSha256: string;
  readonly adapter: string;
  /** How products are cut on this GPU, or the processor's instruction set. */
  readonly kernels: string;
  answer(
    input: unknown,
    image: Blob | undefined,
    onLog: (line: LogLine) => void,
    signal?: AbortSignal,
  ): Promise<{ png: Uint8Array; width: number; height: number; masks?: TinySamMask[] } | { detail: Fault[]; unreachable: boolean }>;
  embed(image: object | string, size: number, crop?: Float64Array, signal?: AbortSignal): Promise<EngineEmbedding>;
  restore(bytes: Uint8Array, photo: object | string | undefined, signal?: AbortSignal): Promise<EngineEmbedding>;
  free(): void;
}

/** @internal */
export interface EngineEmbedding {
  readonly width: number;
  readonly height: number;
  readonly size: number;
  readonly crop: Uint32Array;
  toBytes(precision: string): Promise<Uint8Array>;
  segment(prompts: object[], signal?: AbortSignal): Promise<EngineMask[]>;
  /** Of the CPU's module: decodes for the first worker. */
  decodeBatch?(prompts: object, over?: number): Promise<Batch>;
  everything(options: object, onBatch: (batch: EngineBatch) => void, signal?: AbortSignal): Promise<EngineMask[]>;
  layers(): EngineLayers;
  free(): void;
}

/** @internal */
export interface EngineLayers {
  add(mask: EngineMask): void;
  labels(): Uint16Array;
  png(kind: "mask" | "cutout" | "overlay" | "labels"): Uint8Array;
  free(): void;
}

/** @internal */
export interface EngineBatch {
  masks: EngineMask[];
  done: number;
  total: number;
}

/** @internal */
export interface EngineMask {
  readonly score: number;
  readonly stability: number;
  readonly area: number;
  readonly bbox: Float64Array;
  readonly point: Float64Array | undefined;
  readonly width: number;
  readonly height: number;
  logits(): Promise<Float32Array>;
  bits(): Uint8Array;
  rgba(): Uint8ClampedArray;
  rle(): { size: [number, number]; counts: string };
  counts(): Uint32Array;
  png(kind: "mask" | "cutout" | "overlay"): Uint8Array;
  polygons(tolerance: number): Float32Array[][];
  free(): void;
}
