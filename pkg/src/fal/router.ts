import { Answers } from "./answers.js";
import { Files } from "./files.js";
import { Requests, type RequestsOptions } from "./requests.js";
import { strings } from "./strings.js";
import { UploadFailed, mentions, publish } from "./uploads.js";
import { wayTo, type Caller, type Origin } from "./ways.js";
import { HELD, TARGET_HEADER, failure, fault, isFal, isOurs, respond, route } from "./wire.js";

/** What a router works with. */
export type RouterOptions = Omit<RequestsOptions, "files">;

/**
 * A fal server for `fal-ai/tiny-sam`: calls of its protocol are answered here, everything else goes to the network as
 * it is, but for files of this page that it names. One for all callers, so that each knows the others' requests and
 * uploads.
 */
export class Router {
  readonly files = new Files();
  readonly #options: RouterOptions;
  readonly #requests: Requests;
  readonly #answers: Answers;
  /** The last request of another client that said how to reach fal. */
  #last: Origin | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#requests = new Requests({ ...options, files: this.files });
    this.#answers = new Answers(this.#requests);
  }

  /** The router's `fetch` for one caller. */
  fetchFor(caller: Caller): typeof fetch {
    return (resource, init) => this.#fetch(caller, resource, init);
  }

  /**
   * Whether an upload stays here. One for this endpoint does, until its request has somewhere to go; and one that would
   * reach fal by a fallback alone, until then.
   */
  #holds(origin: Origin): boolean {
    const { device, uploads, fallback } = this.#options.routing();
    if (origin.caller.endpoint) return true;
    if (uploads !== undefined) return uploads === "held";
    if (device !== "fal" && this.#options.local.lacks() === undefined) return true;
    return Boolean(fallback) && wayTo(undefined, origin) === undefined;
  }

  async #fetch(caller: Caller, resource: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const given = resource instanceof Request ? resource : undefined;
    const address = given?.url ?? String(resource);
    const headers = new Headers(init?.headers ?? given?.headers);
    const method = (init?.method ?? given?.method ?? "GET").toUpperCase();
    const signal = init?.signal ?? given?.signal;
    const target = headers.get(TARGET_HEADER) ?? address;
    const origin: Origin = { address, proxied: headers.has(TARGET_HEADER), headers, caller };
    if (!caller.own && isFal(target) && wayTo(undefined, origin) !== undefined) this.#last = origin;
    const asked = route(method, target);
    if (asked === undefined || (asked.call === "initiate" && !this.#holds(origin))) return this.#passOn(origin, target, resource, init);
    if (asked.call === "unknown") return respond(undefined, failure(404, `fal-ai/tiny-sam answers no ${method} here`));
    if (asked.call === "initiate" || asked.call === "file" || asked.call === "run" || asked.call === "submit") {
      signal?.throwIfAborted();
      const body = init?.body ?? (hasBody(given) ? await given.blob() : undefined);
      if (asked.call === "file") return this.files.serve(method, asked.url, asked.part, body);
      const input = await json(body);
      if (asked.call === "initiate") return this.files.initiate(input, origin);
      if (input === undefined) return respond(undefined, failure(422, [fault([], "JSON decode error", "json_invalid")]));
      const [direct, webhook] = asked.call === "run" ? [true, undefined] : [false, asked.webhook];
      const entry = this.#requests.submit(input, { origin, webhook, direct }, signal);
      return direct ? this.#answers.outcome(entry, caller, signal) : this.#answers.submitted(entry);
    }
    const entry = this.#requests.find(asked.id);
    if (entry !== undefined && asked.call === "status") this.#requests.follow(entry, signal);
    signal?.throwIfAborted();
    if (entry === undefined) {
      const foreign = !isOurs(asked.id) && (origin.proxied || headers.has("authorization"));
      if (foreign) return caller.network(resource, init);
      if (asked.call === "cancel") return respond(asked.id, { status: 404, body: { status: "NOT_FOUND" }, backend: undefined });
      return respond(asked.id, failure(404, "This request is unknown here, or was completed too long ago"));
    }
    switch (asked.call) {
      case "status":
        return this.#answers.status(entry, asked.logs, caller, signal);
      case "stream":
        return this.#answers.stream(entry, asked.logs, signal);
      case "cancel": {
        const done = this.#requests.cancel(entry);
        const body = { status: done ? "CANCELLATION_REQUESTED" : "ALREADY_COMPLETED" };
        return respond(entry.id, { status: done ? 202 : 400, body, backend: undefined });
      }
      case "result":
        if (entry.outcome === undefined) return respond(entry.id, failure(400, "Request is still in progress"));
        return this.#answers.final(entry, entry.outcome, caller);
    }
  }

  /** Sends a request that is not for the device, with the files of this page that it names uploaded for it. */
  async #passOn(origin: Origin, target: string, resource: RequestInfo | URL, init: RequestInit | undefined): Promise<Response> {
    const { network } = origin.caller;
    const given = resource instanceof Request ? resource : undefined;
    const readable = hasBody(given) && /json|text/.test(origin.headers.get("content-type") ?? "");
    const body = init?.body ?? (readable ? await given.clone().text() : undefined);
    const named = typeof body === "string" && mentions(body);
    const asked = mentions(decoded(target));
    if (!named && !asked) return network(resource, init);
    try {
      let [to, sent] = [target, body];
      if (isFal(target)) {
        if (asked) to = await this.#publishedQuery(target, origin);
        if (named) sent = await this.#publishedBody(body, origin);
      }
      if (`${decoded(to)} ${sent}`.includes(HELD)) throw new UploadFailed(422, NOT_FOR_THERE);
      if (to === target && sent === body) return await network(resource, init);
      const headers = new Headers(origin.headers);
      if (origin.proxied) headers.set(TARGET_HEADER, to);
      const there = origin.proxied ? origin.address : to;
      const changed = { ...init, headers, ...(sent === body ? {} : { body: sent as string }) };
      return await (given ? network(new Request(there, new Request(given, changed))) : network(there, changed));
    } catch (error) {
      if (!(error instanceof UploadFailed)) throw error;
      return respond(undefined, failure(error.status, error.detail));
    }
  }

  async #publishedBody(body: string, origin: Origin): Promise<string> {
    const value = await json(body);
    const published = await this.#published(value, origin);
    return published === value ? body : JSON.stringify(published);
  }

  async #publishedQuery(target: string, origin: Origin): Promise<string> {
    const url = new URL(target);
    const query = [...url.searchParams];
    const published = await this.#published(query, origin);
    if (published === query) return target;
    url.search = String(new URLSearchParams(published as string[][]));
    return url.href;
  }

  async #published(value: unknown, origin: Origin): Promise<unknown> {
    try {
      return await publish(value, this.files, (held) => {
        const ways = [held?.origin, origin, this.#last].map((known) => known && wayTo(undefined, known));
        return ways.find((way) => way !== undefined) ?? wayTo(this.#options.routing().fallback || undefined, origin);
      });
    } finally {
      for (const text of strings(value)) this.files.use(text);
    }
  }
}

const NOT_FOR_THERE = "an upload that is held in this page is named here, which means nothing elsewhere: give the file itself";

/** An address in plain text, whatever its percent signs mean. */
function decoded(address: string): string {
  return address.replace(/%([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

/** A body as JSON; `undefined` if it is none. An absent body is `null`. */
async function json(body: BodyInit | null | undefined): Promise<unknown> {
  try {
    return body === undefined || body === null ? null : await new Response(body).json();
  } catch {
    return undefined;
  }
}

/** Whether a request may have a body, by its method: Firefox has no `Request.body`, nor has Chrome before 105. */
function hasBody(request: Request | undefined): request is Request {
  return request !== undefined && request.method !== "GET" && request.method !== "HEAD";
}
