import { ApiError, ValidationError, createFalClient, type FalClient, type QueueStatus } from "@fal-ai/client";
import { ENDPOINT } from "./endpoint.js";
import type { Files } from "./files.js";
import { TIMEOUT_TYPE, failure, unreachable, type Outcome } from "./wire.js";

/** How fal can be reached: any of these makes it a fallback. */
export interface Fallback {
  /** A fal key. In a page, whoever opens the page can read it: use a proxy. */
  readonly credentials?: string;
  /** The address of a proxy that holds the key, such as one made with `@fal-ai/server-proxy`. */
  readonly proxyUrl?: string;
  /** Takes fal's own requests where they are to go. */
  readonly fetch?: typeof fetch;
}

/** The request that may have to go to fal: how it came, and so how its like can be sent. */
export interface Origin {
  /** The address that was called: fal's, or the caller's proxy. */
  readonly address: string;
  readonly proxied: boolean;
  readonly headers: Headers;
}

/** What the caller's own client sets for each call anew, and the browser itself. */
const NOT_CARRIED = new Set(["accept", "content-type", "content-length", "user-agent", "x-fal-target-url"]);

/** fal refused a request that is not to be sent again from here. */
class Refused extends Error {
  constructor(readonly response: Response) {
    super(`HTTP ${response.status}: ${response.statusText}`);
  }

  /** What fal's client makes of a refusal. */
  async toApiError(): Promise<ApiError<any>> {
    const { status, statusText, headers } = this.response;
    const body = await this.response.json().catch(() => undefined);
    const message = body === undefined ? this.message : statusText;
    return new ApiError({ status, body, message, timeoutType: headers.get(TIMEOUT_TYPE) ?? "" });
  }
}

/** A `fetch` whose refusals fal's client does not try again. */
function once(network: typeof fetch): typeof fetch {
  return async (...request) => {
    const response = await network(...request);
    if (!response.ok) throw new Refused(response);
    return response;
  };
}

/**
 * fal's own client, on the network: with the key or the proxy that was configured, or else with those of the request.
 * Without either there is no way to fal.
 *
 * @param network where its requests go
 * @param retries whether it sends a request again that fal is too busy for
 */
export function remoteClient(
  fallback: Fallback | undefined,
  origin: Origin,
  network: typeof fetch,
  retries = true,
): FalClient | undefined {
  const { headers, address, proxied } = origin;
  if (fallback === undefined && !proxied && !headers.has("authorization")) return undefined;
  const own = fallback?.credentials !== undefined || fallback?.proxyUrl !== undefined;
  // The request's own headers go where the caller would have sent them: to fal, or to the same proxy.
  const carried = own ? [] : [...headers].filter(([name]) => !NOT_CARRIED.has(name));
  const to = fallback?.fetch ?? network;
  const proxyUrl = own ? fallback.proxyUrl : proxied ? address : undefined;
  return createFalClient({
    credentials: fallback?.credentials ?? (() => undefined),
    fetch: retries ? to : once(to),
    requestMiddleware: (request) => Promise.resolve({ ...request, headers: { ...Object.fromEntries(carried), ...request.headers } }),
    ...(proxyUrl === undefined ? {} : { proxyUrl: { url: proxyUrl, when: "always" } }),
    // configure() and the caller's client have warned of a key in the page.
    suppressLocalCredentialsWarning: true,
  });
}

/** The six fields that fal knows; nothing else is sent. */
const FAL_FIELDS = ["image_url", "size", "confidence", "box_prompt", "point_prompt", "point_label"];

/** Runs a request on fal, in its queue or `direct`, and hands on what fal says of it while it lasts. */
export async function runOnFal(
  client: FalClient,
  input: unknown,
  files: Files,
  call: { direct: boolean; webhook: string | undefined; signal: AbortSignal; onUpdate: (status: QueueStatus) => void },
): Promise<Outcome> {
  const { signal } = call;
  let requestId: string | undefined;
  const cancel = () => {
    if (requestId !== undefined) client.queue.cancel(ENDPOINT, { requestId }).catch(() => undefined);
  };
  signal.addEventListener("abort", cancel);
  try {
    const known = isRecord(input) ? Object.fromEntries(Object.entries(input).filter(([name]) => FAL_FIELDS.includes(name))) : input;
    const sent = (await publish(known, files, client)) as Record<string, unknown>;
    signal.throwIfAborted();
    if (call.direct) {
      const { data } = await client.run(ENDPOINT, { input: sent, abortSignal: signal });
      return { status: 200, body: data, backend: "fal" };
    }
    const webhookUrl = call.webhook === undefined ? {} : { webhookUrl: call.webhook };
    const submitted = await client.queue.submit(ENDPOINT, { input: sent, abortSignal: signal, ...webhookUrl });
    requestId = submitted.request_id;
    call.onUpdate(submitted);
    await client.queue.subscribeToStatus(ENDPOINT, { requestId, logs: true, abortSignal: signal, onQueueUpdate: call.onUpdate });
    const { data } = await client.queue.result(ENDPOINT, { requestId, abortSignal: signal });
    return { status: 200, body: data, backend: "fal" };
  } catch (error) {
    if (signal.aborted) throw error;
    const told: unknown = error instanceof Refused ? await error.toApiError() : error;
    if (told instanceof ApiError) {
      const { status, message: reason, body = { detail: reason }, timeoutType } = told;
      return { status, body, backend: "fal", reason, ...(timeoutType ? { headers: { [TIMEOUT_TYPE]: timeoutType } } : {}) };
    }
    return failure(500, `the request to fal failed: ${error instanceof Error ? error.message : String(error)}`, "fal");
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** A value with every file that is held here uploaded for real. `blob:` addresses, too, mean nothing elsewhere. */
export async function publish(value: unknown, files: Files, client: FalClient): Promise<unknown> {
  if (typeof value === "string") {
    const file = files.get(value) ?? (value.startsWith("blob:") ? await readBlob(value) : undefined);
    return file === undefined ? value : client.storage.upload(file);
  }
  if (Array.isArray(value)) return Promise.all(value.map((item) => publish(item, files, client)));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(async ([name, item]) => [name, await publish(item, files, client)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function readBlob(url: string): Promise<Blob> {
  try {
    return await (await fetch(url)).blob();
  } catch {
    const detail = unreachable(`${url} was revoked, or belongs to another page`);
    throw new ValidationError({ status: 422, message: detail[0].msg, body: { detail } });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
