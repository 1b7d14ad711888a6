import { TinySamError, throwIfAborted } from "./errors.js";
import { kindOf } from "./kinds.js";
import type { Progress, WeightsSource } from "./types.js";

/**
 * The revision of the authors' repository. A commit in place of the branch keeps a new upload from failing the hash for
 * everybody: `git ls-remote https://huggingface.co/xinghaochen/tinysam main` tells it.
 */
const REVISION = "main";

/**
 * The official checkpoint (Apache-2.0, 40.7 MB): the addresses that have it, which are tried in turn, and the SHA-256 that
 * it must have wherever it comes from. The mirrors are those of the package that the folder `weights` publishes.
 */
export const DEFAULT_WEIGHTS: { readonly urls: readonly string[]; readonly sha256: string } = {
  urls: [
    `https://huggingface.co/xinghaochen/tinysam/resolve/${REVISION}/tinysam.pth`,
    "https://cdn.jsdelivr.net/npm/tinysam-weights@1/tinysam.pth",
    "https://unpkg.com/tinysam-weights@1/tinysam.pth",
  ],
  sha256: "4b8edcf93af46e2a658ae455574de62873778a5cc3fd8e8adf094dcdfa957cf2",
};

/**
 * Weights in a form that crosses to a worker for next to nothing and can be sent again after a crash: absolute URLs, to
 * be tried in turn, or a Blob (whose bytes the browser keeps outside the page's memory).
 * @internal
 */
export interface PreparedWeights {
  readonly sources: readonly (string | Blob)[];
  readonly sha256?: string;
}

/** @internal */
export async function prepareWeights(
  weights: WeightsSource | undefined,
  sha256: string | undefined,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<PreparedWeights> {
  throwIfAborted(signal);
  if (weights === undefined) return { sources: DEFAULT_WEIGHTS.urls, sha256: sha256 ?? DEFAULT_WEIGHTS.sha256 };
  const sources = isList(weights)
    ? weights.map((address) => absoluteUrl(address, "checkpoint_unreachable"))
    : [await prepareSource(weights, onProgress, signal)];
  if (sources.length === 0) throw new TinySamError("option_invalid", "weights is an empty list: name an address at least");
  return { sources, ...(sha256 === undefined ? {} : { sha256 }) };
}

/** Unlike `Array.isArray` it knows readonly arrays. */
function isList(weights: WeightsSource): weights is readonly (string | URL)[] {
  return Array.isArray(weights);
}

async function prepareSource(
  weights: Exclude<WeightsSource, readonly (string | URL)[]>,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<string | Blob> {
  const kind = kindOf(weights);
  if (typeof weights === "string" || kind === "URL") return absoluteUrl(weights as string | URL, "checkpoint_unreachable");
  if (kind === "Blob" || kind === "File") return weights as Blob;
  if (kind === "Response") return download(weights as Response, onProgress, signal);
  // A Blob takes no memory that is shared.
  if (ArrayBuffer.isView(weights) && kindOf(weights.buffer) === "SharedArrayBuffer") return new Blob([(weights as Uint8Array).slice() as Uint8Array<ArrayBuffer>]);
  if (kind === "ArrayBuffer" || ArrayBuffer.isView(weights)) return new Blob([weights as Uint8Array<ArrayBuffer> | ArrayBuffer]);
  throw new TinySamError("option_invalid", "weights must be a URL, Blob, ArrayBuffer, Uint8Array or Response of a checkpoint");
}

/**
 * Resolves against the page: inside the worker a relative URL would be relative to the worker's script.
 * @internal
 */
export function absoluteUrl(url: string | URL, code: "checkpoint_unreachable" | "image_unreachable" | "option_invalid"): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (cause) {
    throw new TinySamError(code, `"${String(url)}" is no URL`, { cause });
  }
}

/** What was read of responses, which can be read once: the model may be loaded again, after a crash of the GPU or a rest. */
const bodies = new WeakMap<Response, Blob>();

/** Reads a response to its end. (A body's stream cannot be sent to a worker in every browser.) */
async function download(
  response: Response,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const read = bodies.get(response);
  if (read !== undefined) return read;
  if (response.bodyUsed || response.body?.locked === true) {
    throw new TinySamError("checkpoint_unreachable", "the response of the weights was read before: give a fresh one, or a clone()");
  }
  if (!response.ok || response.body === null) {
    throw new TinySamError("checkpoint_unreachable", `the response of the weights has status ${response.status}`);
  }
  const length = Number(response.headers.get("content-length"));
  let loaded = 0;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      loaded += chunk.byteLength;
      // With a content-encoding the length counts other bytes than those that arrive: no total then.
      onProgress?.({ phase: "download", loaded, ...(length >= loaded ? { total: length } : {}) });
      controller.enqueue(chunk);
    },
  });
  try {
    const blob = await new Response(response.body.pipeThrough(count, signal ? { signal } : {})).blob();
    bodies.set(response, blob);
    return blob;
  } catch (cause) {
    throwIfAborted(signal);
    throw new TinySamError("checkpoint_unreachable", `the weights' response broke off: ${String(cause)}`, { cause });
  }
}
