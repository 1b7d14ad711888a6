import { ENDPOINT, type Backend, type Fault } from "./endpoint.js";
import type { Entry, Log } from "./queue.js";

/** Where the files live that are held here: a name that no network resolves (RFC 2606). */
export const HELD = "https://device.tinysam.invalid/files/";

/** The header in which a proxied request names its real address. */
export const TARGET_HEADER = "x-fal-target-url";
/** The header of an upload that says how long fal is to keep it, and for whom. */
export const LIFECYCLE = "x-fal-object-lifecycle";

/** The header by which a client knows a timeout that its caller set, and so does not try again. */
export const TIMEOUT_TYPE = "x-fal-request-timeout-type";

/** The header that names the kind of a request error, as its body does in `error_type`. */
export const ERROR_TYPE = "x-fal-error-type";

/** The header that says whether it may help to send the same request again. fal's client does not read it. */
export const RETRYABLE = "x-fal-retryable";

/** After these fal's client asks again, by itself. */
export const RETRIED: readonly number[] = [429, 502, 503, 504];

/** A call of the protocol that the device answers. */
export type Route =
  | { readonly call: "run" }
  | { readonly call: "submit"; readonly webhook: string | undefined }
  | { readonly call: "status" | "stream"; readonly id: string; readonly logs: boolean }
  | { readonly call: "result" | "cancel"; readonly id: string }
  | { readonly call: "initiate" }
  | { readonly call: "file"; readonly url: string; readonly part: string | undefined }
  /** An address of the endpoint that means nothing. */
  | { readonly call: "unknown" };

/** What an address and a method ask of the device; nothing, where they are not its business. */
export function route(method: string, address: string): Route | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined; // relative: the page's own
  }
  const { host, pathname: path, searchParams: query } = url;
  if (address.startsWith(HELD)) {
    const [id, part] = path.split("/").slice(2);
    return { call: "file", url: HELD + id, part };
  }
  if (host === "rest.fal.ai" || host === "rest.alpha.fal.ai") {
    return method === "POST" && /^\/storage\/upload\/initiate(-multipart)?$/.test(path) ? { call: "initiate" } : undefined;
  }
  if (host !== "fal.run" && host !== "queue.fal.run") return undefined;
  if (path !== `/${ENDPOINT}` && !path.startsWith(`/${ENDPOINT}/`)) return undefined;
  const rest = path.slice(ENDPOINT.length + 1).replace(/\/$/, "");
  if (rest === "" && method === "POST") {
    return host === "fal.run" ? { call: "run" } : { call: "submit", webhook: query.get("fal_webhook") ?? undefined };
  }
  const [, id, call = ""] = /^\/requests\/([^/]+)(?:\/(status|status\/stream|cancel))?$/.exec(rest) ?? [];
  if (host === "queue.fal.run" && id !== undefined) {
    const logs = query.get("logs") === "1";
    if (method === "PUT" && call === "cancel") return { call, id };
    if (method === "GET" && call === "status") return { call, id, logs };
    if (method === "GET" && call === "status/stream") return { call: "stream", id, logs };
    if (method === "GET" && call === "") return { call: "result", id };
  }
  return { call: "unknown" };
}

/** Whether an address is one of fal's own. */
export function isFal(address: string): boolean {
  return /^https:\/\/([^/?#@]+\.)?fal\.(run|ai)(:443)?([/?#]|$)/.test(address);
}

/** What a request came to: the status and body of its result. */
export interface Outcome {
  readonly status: number;
  readonly body: unknown;
  readonly backend: Backend | undefined;
  /** For people; the official client makes it the message of its error. */
  readonly reason?: string;
  readonly headers?: Record<string, string>;
}

/** An outcome that is an error: fal's `{detail}`. What is wrong with an input is so however often it is sent. */
export function failure(status: number, detail: string | Fault[], backend?: Backend): Outcome {
  const reason = typeof detail === "string" ? detail : detail.map(({ loc, msg }) => `${loc.slice(1).join(".")}: ${msg}`).join("; ");
  return { status, body: { detail }, backend, reason, ...(status === 422 ? { headers: { [RETRYABLE]: "false" } } : {}) };
}

/** fal's page of errors, which has a section for each type. */
const ERRORS = "https://docs.fal.ai/errors";

/** What is wrong with an input, or with one field of it. */
export function fault(loc: Fault["loc"], msg: string, type: string): Fault {
  return { loc: ["body", ...loc], msg, type, url: `${ERRORS}#${type}` };
}

/** What fal says of a picture that it cannot fetch. */
export function unreachable(msg: string): [Fault] {
  return [fault(["image_url"], msg, "file_download_error")];
}

/**
 * How the requests of this door are told from fal's: their UUIDs are of version 8, free to use, and begin with
 * "tinysa".
 */
const OURS = "74696e79-7361-8";

/** A name for a request: a UUID. (`crypto.randomUUID` is missing on plain http, and gives those of version 4.) */
export function newId(): string {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = "89ab"[parseInt(random[3]!, 16) % 4];
  return `${OURS}${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(8)}`;
}

/** Whether a request was given its name here, and not by fal. */
export function isOurs(requestId: string): boolean {
  return requestId.startsWith(OURS);
}

/** A JSON answer with fal's headers. */
export function respond(id: string | undefined, outcome: Outcome): Response {
  const { status, body, backend, reason = "", headers } = outcome;
  const type = errorTypeOf(outcome);
  return new Response(JSON.stringify(body), {
    status,
    // A status line holds printable ASCII only; the engine writes sizes as 8000×6000.
    statusText: reason.replace(/×/g, "x").replace(/[^\x20-\x7e]/g, "?").slice(0, 2000),
    headers: {
      ...headers,
      "content-type": "application/json",
      ...(type === undefined ? {} : { [ERROR_TYPE]: type }),
      ...(id === undefined ? {} : { "x-fal-request-id": id }),
      ...(backend === undefined ? {} : { "x-tinysam-backend": backend }),
    },
  });
}

/** The kind of a request error; nothing, where it is none. */
function errorTypeOf({ body }: Outcome): string | undefined {
  const { error_type } = (body ?? {}) as { error_type?: unknown };
  return typeof error_type === "string" && /^\w+$/.test(error_type) ? error_type : undefined;
}

/** What a status says of a request. */
export function statusOf<Job>(entry: Entry<Job, Outcome>, position: number, logs: readonly Log[]): object {
  const response_url = `https://queue.fal.run/${ENDPOINT}/requests/${entry.id}`;
  const error_type = entry.outcome && errorTypeOf(entry.outcome);
  return {
    status: entry.status,
    request_id: entry.id,
    response_url,
    status_url: `${response_url}/status`,
    cancel_url: `${response_url}/cancel`,
    ...(entry.status === "IN_QUEUE" ? { queue_position: position } : { logs }),
    ...(entry.status === "COMPLETED" ? { metrics: { inference_time: entry.inferenceTime } } : {}),
    ...(error_type === undefined ? {} : { error: entry.outcome?.reason, error_type }),
  };
}
