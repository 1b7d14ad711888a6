import { ApiError, ValidationError, createFalClient, type FalClient } from "@fal-ai/client";
import { LIFECYCLE, TARGET_HEADER, TIMEOUT_TYPE, route } from "./wire.js";

/** What fal's client is configured with. */
export type FalConfig = NonNullable<Parameters<typeof createFalClient>[0]>;

/** How fal can be reached: any of these makes it a fallback. */
export interface Fallback {
  /** A fal key. In a page, whoever opens the page can read it: use a proxy. */
  readonly credentials?: string;
  /** The address of a proxy that holds the key, such as one made with `@fal-ai/server-proxy`. */
  readonly proxyUrl?: string;
  /** Takes fal's own requests where they are to go. */
  readonly fetch?: typeof fetch;
}

/** Whose requests come to the router. */
export interface Caller {
  /** Where its requests go that are not answered here. */
  readonly network: typeof fetch;
  /** This package's own client, and so known to upload the files of an input for that one input. */
  readonly own?: true;
  /** What an own client was configured with: fal is asked in just that way. */
  readonly config?: FalConfig;
  /** It makes requests to this endpoint and no other: whatever it uploads is for the device. */
  readonly endpoint?: true;
  /**
   * What one `subscribe` was told of a request last. Its polls wait for something else, and its signal is the
   * request's.
   */
  readonly told?: Map<string, string>;
}

/** A request that may have to go to fal: how it came, and so how its like can be sent. */
export interface Origin {
  /** The address that was called: fal's, or the caller's proxy. */
  readonly address: string;
  readonly proxied: boolean;
  readonly headers: Headers;
  readonly caller: Caller;
}

/** A way to fal. */
export interface Way {
  /** Ways of one name reach the same account of fal: what was uploaded by one can be named by the other. */
  readonly name: string;
  /**
   * fal's client on this way.
   *
   * @param call `retries`: whether it sends a request again that fal is too busy for (default true); `lifecycle`: the
   * header of its uploads
   */
  client(call?: { retries?: boolean; lifecycle?: string | undefined }): FalClient;
}

/** What fal's client and the browser set for each call anew. */
const NOT_CARRIED = new Set(["accept", "content-type", "content-length", "user-agent", TARGET_HEADER]);

/** An answer that is an error and is not to be asked for again. */
export class Refused extends Error {
  constructor(readonly response: Response) {
    super(`HTTP ${response.status}: ${response.statusText}`);
  }

  /** What fal's client makes of such an answer. */
  async toApiError(): Promise<ApiError<any>> {
    const { status, statusText, headers } = this.response;
    const body = await this.response.json().catch(() => undefined);
    const message = body === undefined ? this.message : body.message || statusText;
    const requestId = headers.get("x-fal-request-id") ?? "";
    const told = { status, body, message, requestId, timeoutType: headers.get(TIMEOUT_TYPE) ?? "" };
    return status === 422 ? new ValidationError(told) : new ApiError(told);
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
 * The way to fal: by the key or the proxy of a fallback, or else as the request would have gone itself. Without either
 * there is none. A key, a cookie and headers of the application's own go only where the request would have taken them;
 * what it asks of fal (its `x-fal-…` headers) goes with it on every way.
 */
export function wayTo(fallback: Fallback | undefined, { headers, address, proxied, caller }: Origin): Way | undefined {
  const elsewhere = fallback?.credentials !== undefined || fallback?.proxyUrl !== undefined;
  const known = fallback !== undefined || proxied || headers.has("authorization") || isConfigured(caller.config);
  if (!known) return undefined;
  const carried = [...headers].filter(([name]) => !NOT_CARRIED.has(name));
  const ofFal = Object.fromEntries(carried.filter(([name]) => name.startsWith("x-fal-")));
  const ofCaller = Object.fromEntries(carried.filter(([name]) => !name.startsWith("x-fal-")));
  const network = fallback?.fetch ?? caller.network;
  const proxy = (url: string) => ({ url, when: "always" as const });

  let config: FalConfig;
  let name = proxied ? address : `${headers.get("authorization")}`;
  /** Headers of every call; of the call that begins a request; and of an upload. */
  let always: Record<string, string> = {};
  let first = ofFal;
  let upload: Record<string, string> = {};
  if (elsewhere) {
    const { credentials, proxyUrl } = fallback;
    config = { credentials: credentials ?? (() => undefined), ...(proxyUrl === undefined ? {} : { proxyUrl: proxy(proxyUrl) }) };
    name = `${proxyUrl} ${credentials}`;
  } else if (caller.config !== undefined) {
    // The caller's own key, proxy, middleware and patience: each call gets what is right for it.
    const { fetch: _, responseHandler: __, ...own } = caller.config;
    const { authorization: ___, ...rest } = ofCaller;
    config = own;
    first = { ...rest, ...ofFal };
    name = nameOf(caller.config);
  } else {
    const { authorization, cookie } = ofCaller;
    config = { credentials: () => undefined, ...(proxied ? { proxyUrl: proxy(address) } : {}) };
    // A proxy may know its people by any header; fal knows them by these.
    always = proxied ? ofCaller : { ...(authorization && { authorization }), ...(cookie && { cookie }) };
    first = { ...ofCaller, ...ofFal };
    if (route("POST", headers.get(TARGET_HEADER) ?? address)?.call === "initiate") upload = ofCaller;
  }
  const { requestMiddleware = (request) => Promise.resolve(request) } = config;
  const client: Way["client"] = ({ retries = true, lifecycle } = {}) =>
    createFalClient({
      ...config,
      fetch: retries ? network : once(network),
      requestMiddleware: (request) => {
        const call = route("POST", request.url)?.call; // what begins something is a POST
        let added = {};
        if (call === "run" || call === "submit") added = first;
        if (call === "initiate") added = lifecycle ? { ...upload, [LIFECYCLE]: lifecycle } : upload;
        return requestMiddleware({ ...request, headers: { ...always, ...request.headers, ...added } });
      },
      // configure() and the caller's client have warned of a key in the page.
      suppressLocalCredentialsWarning: true,
    });
  return { name, client };
}

const configs = new WeakMap<FalConfig, number>();
let lastConfig = 0;

/** A client's way is one, whatever keys it gets as time goes by. */
function nameOf(config: FalConfig): string {
  if (!configs.has(config)) configs.set(config, ++lastConfig);
  return `client ${configs.get(config)}`;
}

/** Whether a client of this package could reach fal. (In a worker fal's client ignores a proxy that is only named.) */
export function isConfigured({ credentials, proxyUrl }: FalConfig = {}): boolean {
  const key = typeof credentials === "function" ? credentials() : credentials;
  return Boolean(key) || (proxyUrl !== undefined && (typeof document !== "undefined" || typeof proxyUrl === "object"));
}
