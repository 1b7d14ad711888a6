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
