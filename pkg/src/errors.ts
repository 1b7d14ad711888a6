/**
 * What went wrong, by its stable name. The first group comes from the engine, the second from this package.
 *
 * - `crashed`: the worker died; the next `embed` gets a fresh one with the weights loaded again.
 * - `superseded`: a newer `latest` prompt took this one's place before it started.
 * - `released`: the handle was freed.
 * - `unsupported`: this environment lacks something, such as Web Workers or WebAssembly, or forbids it.
 * - `pixels_protected`: the browser gives noise for a picture's pixels, to protect its user (Tor, LibreWolf,
 *   `resistFingerprinting`).
 * - `embedding_invalid`, `embedding_mismatch`: bytes that are no saved image, or one of another checkpoint or photo.
 * - `module_unreachable`: the engine's own WebAssembly could not be fetched, or is not what was served in its place.
 */
export type ErrorCode =
  | "checkpoint_invalid"
  | "checkpoint_mismatch"
  | "checkpoint_hash"
  | "checkpoint_unreachable"
  | "image_unreachable"
  | "image_invalid"
  | "image_too_large"
  | "pixels_protected"
  | "embedding_invalid"
  | "embedding_mismatch"
  | "prompt_invalid"
  | "option_invalid"
  | "device_unavailable"
  | "device_lost"
  | "out_of_memory"
  | "aborted"
  | "internal"
  | "crashed"
  | "superseded"
  | "released"
  | "unsupported"
  | "module_unreachable";

/** Every error of this package: a sentence that says what to do next, and a stable {@link code}. */
export class TinySamError extends Error {
  /** The stable name of this kind of error; the message may change, this does not. */
  readonly code: ErrorCode;
  /**
   * A GPU does not recover from it: what is on it is lost or wrong, and its runtime goes on with buffers that were never
   * made. Start over.
   * @internal
   */
  readonly endsDevice?: true;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TinySamError";
    this.code = code;
  }
}

/**
 * The error of a call whose signal was aborted; the signal's reason is its `cause`.
 * @internal
 */
export function aborted(signal?: AbortSignal): TinySamError {
  return new TinySamError("aborted", "stopped by the caller", { cause: signal?.reason });
}

/** @internal */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}

/**
 * Pixels of another origin, shown without CORS, may not leave the element that shows them.
 * @internal
 */
export function tainted(cause: unknown): TinySamError {
  return new TinySamError(
    "image_unreachable",
    'this picture comes from another origin that has not allowed reading it: load it with crossorigin="anonymous", or give its bytes',
    { cause },
  );
}

/**
 * An error as it crosses from a worker: class instances do not survive structured cloning.
 * @internal
 */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly endsDevice?: true;
}

/** @internal */
export function toWire(error: unknown): WireError {
  if (error instanceof TinySamError) return { code: error.code, message: error.message };
  if (error instanceof DOMException && error.name === "AbortError") {
    return { code: "aborted", message: "stopped by the caller" };
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const { endsDevice } = (error ?? {}) as Partial<WireError>;
  return { code: code ?? "internal", message, ...(endsDevice || code === undefined ? { endsDevice: true } : {}) };
}

/** @internal */
export function fromWire(wire: WireError): TinySamError {
  const { code, message, endsDevice } = wire;
  return Object.assign(new TinySamError(code, message), endsDevice ? { endsDevice } : {});
}

/**
 * True for a trap inside WebAssembly: a panic, or memory that ran out. The instance must not be used again.
 * @internal
 */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

/** The `code` that the engine gives its errors. */
function codeOf(error: unknown): ErrorCode | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? (error.code as ErrorCode) : undefined;
}
