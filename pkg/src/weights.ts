import { TinySamError, throwIfAborted } from "./errors.js";
import type { Progress, WeightsSource } from "./types.js";

/** The official checkpoint (Apache-2.0, 40.7 MB), and the SHA-256 that it must have. */
export const DEFAULT_WEIGHTS = {
  url: "https://huggingface.co/xinghaochen/tinysam/resolve/main/tinysam.pth",
  sha256: "4b8edcf93af46e2a658ae455574de62873778a5cc3fd8e8adf094dcdfa957cf2",
} as const;

/**
 * Weights in a form that crosses to a worker for next to nothing and can be sent again after a crash: an
 * absolute URL, or a Blob (whose bytes the browser keeps outside the page's memory).
 * @internal
 */
export interface PreparedWeights {
  readonly source: string | Blob;
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
  if (weights === undefined) return { source: DEFAULT_WEIGHTS.url, sha256: sha256 ?? DEFAULT_WEIGHTS.sha256 };
  return { source: await prepareSource(weights, onProgress, signal), ...(sha256 === undefined ? {} : { sha256 }) };
}

async function prepareSource(
  weights: WeightsSource,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<string | Blob> {
  if (typeof weights === "string" || weights instanceof URL) return absoluteUrl(weights, "checkpoint_unreachable");
  if (weights instanceof Blob) return weights;
  if (weights instanceof Response) return download(weights, onProgress, signal);
  return new Blob([weights as Uint8Array<ArrayBuffer> | ArrayBuffer]);
}

/**
 * Resolves against the page: inside the worker a relative URL would be relative to the worker's script.
 * @internal
 */
export function absoluteUrl(url: string | URL, code: "checkpoint_unreachable" | "image_unreachable"): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (cause) {
    throw new TinySamError(code, `"${String(url)}" is no URL`, { cause });
  }
}

/** Reads a response to its end. (A body's stream cannot be sent to a worker in every browser.) */
async function download(
  response: Response,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<Blob> {
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
    return await new Response(response.body.pipeThrough(count, signal ? { signal } : {})).blob();
  } catch (cause) {
    throwIfAborted(signal);
    throw new TinySamError("checkpoint_unreachable", `the weights' response broke off: ${String(cause)}`, { cause });
  }
}
