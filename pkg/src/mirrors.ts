import { TinySamError, toWire } from "./errors.js";
import { follow } from "./signals.js";
import type { Progress } from "./types.js";

/**
 * An address from which nothing has come for so long, in milliseconds, counts as unreachable. The engine tells of its bytes
 * in steps of 256 KiB, so that a network slower than that in ten seconds is none, too: at 26 kB/s the official checkpoint
 * would take half an hour.
 */
const SILENCE_MS = 10_000;
/** What another address may do better. */
const ELSEWHERE = new Set(["checkpoint_unreachable", "checkpoint_hash", "checkpoint_invalid"]);

type Load<Source, Loaded> = (source: Source, report: (progress: Progress) => void, signal: AbortSignal) => Promise<Loaded>;

/**
 * Loads from the first of the sources that has what is wanted.
 *
 * @throws what the only source failed with; of several what the first did, the others' errors in its cause; `aborted`
 * @internal
 */
export async function firstToLoad<Source, Loaded>(
  sources: readonly Source[],
  report: (progress: Progress) => void,
  signal: AbortSignal,
  load: Load<Source, Loaded>,
): Promise<Loaded> {
  const failures: TinySamError[] = [];
  for (const source of sources) {
    try {
      return await heard(source, report, signal, load);
    } catch (error) {
      const { code, message } = toWire(error);
      if (sources.length === 1 || !ELSEWHERE.has(code)) throw error;
      failures.push(new TinySamError(code, message, { cause: error }));
    }
  }
  const [first] = failures;
  const message = `none of ${sources.length} addresses has the weights. The first: ${first?.message}`;
  throw new TinySamError(first?.code ?? "option_invalid", message, { cause: new AggregateError(failures) });
}

/**
 * Addresses whose download this browser has kept come first: nothing need be waited for then.
 * @internal
 */
export async function keptFirst<Source>(sources: readonly Source[]): Promise<readonly Source[]> {
  if (sources.length < 2) return sources;
  const kept = new Set<Source>();
  try {
    for (const source of sources) if ((await caches.match(String(source))) !== undefined) kept.add(source);
  } catch {
    // There is no cache here, or none is allowed.
  }
  return [...kept, ...sources.filter((source) => !kept.has(source))];
}

/** Loads, unless the network falls silent. */
async function heard<Source, Loaded>(source: Source, report: (progress: Progress) => void, signal: AbortSignal, load: Load<Source, Loaded>): Promise<Loaded> {
  const stop = new AbortController();
  const part = follow(stop, signal);
  let silent = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    clearTimeout(timer);
    if (typeof source !== "string") return;
    timer = setTimeout(() => {
      silent = true;
      stop.abort();
    }, SILENCE_MS);
  };
  const tell = (progress: Progress) => {
    const { phase, loaded, total } = progress;
    // What comes after the last byte is this machine's own time.
    if (phase === "download" && loaded !== total) wait();
    else clearTimeout(timer);
    report(progress);
  };
  wait();
  try {
    return await load(source, tell, stop.signal);
  } catch (error) {
    if (!silent) throw error;
    const message = `nothing came from ${String(source)} for ${SILENCE_MS / 1000} seconds: check the connection, or name another address`;
    throw new TinySamError("checkpoint_unreachable", message, { cause: error });
  } finally {
    clearTimeout(timer);
    part();
  }
}
