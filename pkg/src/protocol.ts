/**
 * What the page and the worker say to each other. Written by hand, not with Comlink: a dead worker must
 * reject what is pending, errors must keep their code, aborting and progress belong to a call, and handles
 * are numbers that can be freed; Comlink has none of these, and the rest of it is a hundred lines.
 */
import type { DeviceKind } from "./device.js";
import type { WireError } from "./errors.js";
import type { EngineAnswer, LogLine } from "./fal/endpoint.js";
import type { Lines } from "./exchange.js";
import type { PostableImage } from "./source.js";
import type { PlainPrompt } from "./prompts.js";
import type { Box, EverythingOptions, LayersKind, ModelName, PngKind, Progress, Rle } from "./types.js";
import type { PreparedWeights } from "./weights.js";

/** How exactly an embedding is saved. */
export type Precision = "f16" | "f32";

/** @internal */
export type EmbeddingId = number;
/** @internal */
export type MaskId = number;

/** @internal */
export interface MaskRecord {
  readonly id: MaskId;
  readonly width: number;
  readonly height: number;
  readonly score: number;
  readonly stability: number;
  readonly area: number;
  readonly bbox: Box;
  readonly point?: readonly [x: number, y: number];
}

/** @internal */
export interface EmbeddingRecord {
  readonly id: EmbeddingId;
  readonly width: number;
  readonly height: number;
  readonly size: number;
  readonly crop: Box;
}

/** @internal */
export interface EngineRecord {
  readonly checkpointSha256: string;
  /** How products are cut on this GPU, or the processor's instruction set. */
  readonly kernels: string;
}

/** @internal */
export interface BatchRecord {
  readonly masks: readonly MaskRecord[];
  readonly done: number;
  readonly total: number;
}

/**
 * Every call: what goes in, what comes back, and what is reported meanwhile.
 * @internal
 */
export interface Calls {
  load: {
    /** `wasm`: the module's address. `adapter`: what the browser tells of the GPU. */
    args: { wasm: string; weights: PreparedWeights; model?: ModelName | undefined; cache: boolean; forceSoftware: boolean; adapter?: string; lines: Lines };
    reply: EngineRecord;
    event: Progress;
  };
  /** Of another worker than the first: takes parts of its work from now on. */
  join: { args: { lines: Lines }; reply: void; event: never };
  /** Bytes of WebAssembly's memory. */
  memory: { args: Record<string, never>; reply: number; event: never };
  embed: { args: { source: PostableImage; size: number; crop?: Box | undefined }; reply: EmbeddingRecord; event: never };
  /** What {@link save} gave, and its photo, if that is at hand. */
  restore: { args: { bytes: Uint8Array; photo?: PostableImage | undefined }; reply: EmbeddingRecord; event: never };
  save: { args: { embedding: EmbeddingId; precision: Precision }; reply: Uint8Array<ArrayBuffer>; event: never };
  segment: {
    /** `refine`: the mask whose logits are the mask prompt of the first; they need not leave the worker for it. */
    args: { embedding: EmbeddingId; prompts: readonly PlainPrompt[]; refine?: MaskId };
    reply: readonly MaskRecord[];
    event: never;
  };
  everything: {
    args: { embedding: EmbeddingId; options: EverythingOptions };
    reply: readonly MaskRecord[];
    event: BatchRecord;
  };
  /** Of several masks of one picture. */
  labels: { args: { embedding: EmbeddingId; masks: readonly MaskId[] }; reply: Uint16Array<ArrayBuffer>; event: never };
  layers: {
    args: { embedding: EmbeddingId; masks: readonly MaskId[]; kind: LayersKind };
    reply: Uint8Array<ArrayBuffer>;
    event: never;
  };
  /** A whole request to fal's endpoint; `image` stands for the input's `image_url`, if it is held here. */
  answer: { args: { input: unknown; image: Blob | undefined }; reply: EngineAnswer; event: LogLine };
  logits: { args: { mask: MaskId }; reply: Float32Array<ArrayBuffer>; event: never };
  bits: { args: { mask: MaskId }; reply: Uint8Array<ArrayBuffer>; event: never };
  rgba: { args: { mask: MaskId }; reply: Uint8ClampedArray<ArrayBuffer>; event: never };
  png: { args: { mask: MaskId; kind: PngKind }; reply: Uint8Array<ArrayBuffer>; event: never };
  rle: { args: { mask: MaskId }; reply: Rle; event: never };
  counts: { args: { mask: MaskId }; reply: Uint32Array<ArrayBuffer>; event: never };
  /** Of each part its outline and its holes. */
  polygons: { args: { mask: MaskId; tolerance: number }; reply: Float32Array<ArrayBuffer>[][]; event: never };
}

/** @internal */
export type CallName = keyof Calls;

/** @internal */
export type Request =
  | { [Name in CallName]: { readonly id: number; readonly name: Name; readonly args: Calls[Name]["args"] } }[CallName]
  | { readonly abort: number }
  | { readonly freeEmbedding: EmbeddingId }
  | { readonly freeMask: MaskId }
  /** Another worker, by its number, can work, or is gone. */
  | { readonly joined: number }
  | { readonly lost: number };

/** @internal */
export type Response =
  | { readonly id: number; readonly value: Calls[CallName]["reply"] }
  | { readonly id: number; readonly error: WireError }
  | { readonly id: number; readonly event: Calls[CallName]["event"] }
  /** The engine trapped: nothing that it held can be used again. */
  | { readonly crash: string };

/**
 * The first message of a worker: its script runs, for this device.
 * @internal
 */
export interface Greeting {
  readonly runs: DeviceKind;
}

/**
 * One end of a line between page and engine: a worker, a worker's own scope, or a message port.
 * @internal
 */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  /** Of message ports, which hold back what comes before. */
  start?(): void;
}
