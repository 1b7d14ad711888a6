import { aborted } from "./errors.js";

/**
 * Waits for what others may wait for, too: who aborts stops waiting, and nothing more.
 * @internal
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/**
 * Has a signal stop what another controller stops: `AbortSignal.any`, which is younger than the oldest browsers. What comes
 * back ends that.
 * @internal
 */
export function follow(stop: AbortController, signal: AbortSignal | undefined): () => void {
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return () => signal?.removeEventListener("abort", abort);
}
