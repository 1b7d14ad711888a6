import type { Pending, Requests } from "./requests.js";
import { Refused, type Caller } from "./ways.js";
import { RETRIED, RETRYABLE, TIMEOUT_TYPE, respond, statusOf, type Outcome } from "./wire.js";

/** The header that holds the status of an answer which another client would ask for again. */
const STATUS = "x-tinysam-status";

/** A poll of this package's own client is answered after so long, even if nothing has changed. */
const HOLD_MS = 10_000;
/**
 * Another client's is answered at once, as fal would. One that asks again so soon after an answer has no pause of its
 * own …
 */
const RESTLESS_MS = 100;
/** … and waits for news, but not longer than fal's client would have rested. */
const REST_MS = 500;

/** What is said of a request: what it is at, as often as that changes, and what it came to. */
export class Answers {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** The answer to a submit. */
  submitted(entry: Pending): Response {
    const body = statusOf({ ...entry, status: "IN_QUEUE" }, this.#requests.position(entry), []);
    return respond(entry.id, { status: 200, body, backend: undefined });
  }

  /** The answer to a poll. */
  async status(entry: Pending, logs: boolean, { told }: Caller, signal?: AbortSignal | null): Promise<Response> {
    const { job } = entry;
    if (told !== undefined) {
      await this.#news(entry, logs, told.get(entry.id) ?? "", HOLD_MS, signal);
      told.set(entry.id, this.#view(entry, logs));
    } else {
      const turn = ++job.told.polls;
      // Whoever still waits has his answer now: one for each poll, and never many at once.
      this.#requests.changed();
      const rest = Date.now() - job.told.at < RESTLESS_MS ? REST_MS : 0;
      await this.#news(entry, logs, job.told.view, rest, signal, () => job.told.polls === turn);
      job.told.view = this.#view(entry, logs);
      job.told.at = Date.now();
    }
    const body = statusOf(entry, this.#requests.position(entry), logs ? entry.logs : []);
    const backend = entry.outcome?.backend;
    return respond(entry.id, { status: entry.status === "COMPLETED" ? 200 : 202, body, backend });
  }

  /** Server-sent events, one for each change, each with the log lines since the last. */
  stream(entry: Pending, logs: boolean, signal?: AbortSignal | null): Response {
    let seen = "";
    let lines = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        await this.#news(entry, logs, seen, Infinity, signal);
        seen = this.#view(entry, logs);
        const status = statusOf(entry, this.#requests.position(entry), logs ? entry.logs.slice(lines) : []);
        lines = entry.logs.length;
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(status)}\n\n`));
        if (entry.status === "COMPLETED") controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream", "x-fal-request-id": entry.id } });
  }

  /** What a request came to, when it has, for a caller that waits for it: its client may send the request again. */
  async outcome(entry: Pending, caller: Caller, signal?: AbortSignal | null): Promise<Response> {
    while (entry.outcome === undefined) await this.#requests.change(HOLD_MS, signal);
    const { outcome } = entry;
    return outcome.headers?.[RETRYABLE] === "false" ? this.final(entry, outcome, caller) : respond(entry.id, outcome);
  }

  /**
   * What a request came to, however often it is asked for. fal's client asks again after some statuses, for seconds.
   * This package's own is told that it need not. Another's can be told by the status alone: the body, the words and the
   * kind of the error stay what they are.
   */
  final(entry: Pending, outcome: Outcome, caller: Caller): Response {
    const { status, headers } = outcome;
    const response = respond(entry.id, outcome);
    if (caller.own && !response.ok) throw new Refused(response);
    if (!RETRIED.includes(status) || headers?.[TIMEOUT_TYPE] === "user") return response;
    return respond(entry.id, { ...outcome, status: 500, headers: { ...headers, [STATUS]: `${status}` } });
  }

  /** Waits `ms` at most until a request says something else than `seen`, as long as it is `wanted`. */
  async #news(entry: Pending, logs: boolean, seen: string, ms: number, signal?: AbortSignal | null, wanted = () => true): Promise<void> {
    const until = Date.now() + ms;
    while (entry.status !== "COMPLETED" && this.#view(entry, logs) === seen && wanted() && Date.now() < until) {
      await this.#requests.change(Math.min(until - Date.now(), HOLD_MS), signal);
    }
  }

  #view(entry: Pending, logs: boolean): string {
    return `${entry.status} ${this.#requests.position(entry)} ${logs ? entry.logs.length : 0}`;
  }
}
