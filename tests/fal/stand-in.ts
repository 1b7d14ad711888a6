/**
 * A stand-in for fal: a small HTTP server on the loopback that speaks fal's wire protocol for `fal-ai/tiny-sam`, with
 * faults on demand. It keeps every request that reaches it, so that tests can say what was sent, byte by byte.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const APP = "/fal-ai/tiny-sam";
/** A test may put another in the place of the global one. */
const fetch = globalThis.fetch;
const MAX_BODY = 256 * 2 ** 20;
const MAX_REQUESTS = 10_000;
const ERRORS = "https://docs.fal.ai/errors";
const TARGET_HEADER = "x-fal-target-url";

/** A request as it arrived; `url` is the address at fal that it was meant for. */
export interface Arrival {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
  /** Whether it came through the proxy's address. */
  readonly proxied: boolean;
}

/** What goes wrong with the requests that `on` picks, `times` times (once, unless told). */
export interface Fault {
  readonly on: (arrival: Arrival) => boolean;
  readonly times?: number;
  readonly with: number | "cut" | "malformed" | "html" | { readonly delay: number };
}

interface Job {
  readonly id: string;
  readonly input: Record<string, unknown> | null;
  /** How often its status was asked for: what it is at goes by that, and not by any clock. */
  asked: number;
  cancelled: boolean;
}

export interface StandInOptions {
  /** How many polls find a request in the queue, and then in progress. */
  readonly queued?: number;
  readonly running?: number;
  /** The key that it asks for; none takes any. */
  readonly key?: string;
  /** Headers that let a browser read the answers; `false` leaves them out. */
  readonly cors?: boolean;
}

export class StandIn {
  readonly arrivals: Arrival[] = [];
  readonly files = new Map<string, Buffer>();
  readonly #faults: (Fault & { left: number })[] = [];
  readonly #jobs = new Map<string, Job>();
  readonly #options: Required<Omit<StandInOptions, "key" | "running">> & { key: string | undefined };
  running: number;
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error) => {
      console.error("stand-in:", error);
      response.destroy();
    });
  });
  origin = "";

  constructor({ queued = 0, running = 1, key, cors = true }: StandInOptions = {}) {
    this.#options = { queued, key, cors };
    this.running = running;
  }

  static async start(options?: StandInOptions): Promise<StandIn> {
    const standIn = new StandIn(options);
    await new Promise<void>((resolve) => standIn.#server.listen(0, "127.0.0.1", resolve));
    standIn.origin = `http://127.0.0.1:${(standIn.#server.address() as AddressInfo).port}`;
    return standIn;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The address of a proxy that knows the key. */
  get proxyUrl(): string {
    return `${this.origin}/proxy`;
  }

  /** A `fetch` for which this server is fal, and all of the internet. */
  get fetch(): typeof fetch {
    return (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      if (url.startsWith(this.origin)) return fetch(input, init);
      const here = `${this.origin}/${url.replace("://", "/")}`;
      return input instanceof Request ? fetch(new Request(here, input), init) : fetch(here, init);
    };
  }

  fault(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY) return void response.destroy();
      chunks.push(chunk);
    }
    if (this.#options.cors) {
      response.setHeader("access-control-allow-origin", "*");
      response.setHeader("access-control-allow-headers", "*, authorization");
      response.setHeader("access-control-allow-methods", "*");
      response.setHeader("access-control-expose-headers", "*");
    }
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    const path = request.url ?? "/";
    const target = path === "/proxy" ? String(request.headers[TARGET_HEADER]) : path.slice(1).replace("/", "://");
    const arrival = {
      method: request.method ?? "GET",
      url: target,
      headers: request.headers,
      body: Buffer.concat(chunks),
      proxied: path === "/proxy",
    };
    if (this.arrivals.length >= MAX_REQUESTS) return void response.destroy();
    this.arrivals.push(arrival);

    const fault = this.#faults.find(({ on, left }) => left > 0 && on(arrival));
    if (fault !== undefined) {
      fault.left -= 1;
      if (fault.with === "cut") return void response.destroy();
      if (fault.with === "malformed") return void response.writeHead(200, { "content-type": "application/json" }).end('{"status": "IN_Q');
      if (fault.with === "html") return void response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
      if (typeof fault.with === "number") return this.#json(response, fault.with, { detail: `fault ${fault.with}` });
      await new Promise((resolve) => setTimeout(resolve, (fault.with as { delay: number }).delay));
    }
    this.#answer(arrival, response);
  }

  #answer(arrival: Arrival, response: ServerResponse): void {
    const { method, url, headers, proxied, body } = arrival;
    const { host, pathname, searchParams } = new URL(url);
    const answer = (status: number, value: unknown, extra = {}) => this.#json(response, status, value, extra);

    if (host === "upload.fal.example") {
      const [, id = "", part] = pathname.split("/");
      if (method === "PUT" && part === undefined) this.files.set(id, body);
      if (method === "PUT" && part !== undefined) this.files.set(id, Buffer.concat([this.files.get(id) ?? Buffer.alloc(0), body]));
      return answer(200, part === undefined || part === "complete" ? {} : { partNumber: Number(part), etag: `"${part}"` });
    }
    const { key } = this.#options;
    if (key !== undefined && !proxied && headers.authorization !== `Key ${key}`) return answer(401, { detail: "Cannot access application" });
    if (host === "rest.fal.ai" && method === "POST") {
      const id = randomUUID();
      const { file_name } = JSON.parse(body.toString()) as { file_name: string };
      return answer(200, { file_url: `https://v3.fal.example/${id}/${file_name}`, upload_url: `https://upload.fal.example/${id}?signature=1` });
    }
    if (host === "fal.run" && pathname === APP && method === "POST") {
      const [status, value] = result(JSON.parse(body.toString()) as Record<string, unknown> | null);
      return answer(status, value, { "x-fal-request-id": randomUUID() });
    }
    if (host !== "queue.fal.run" || !pathname.startsWith(APP)) return answer(404, { detail: "Application not found" });
    if (pathname === APP && method === "POST") {
      const input = body.length === 0 ? null : (JSON.parse(body.toString()) as Record<string, unknown>);
      const job = { id: randomUUID(), input, asked: 0, cancelled: false };
      this.#jobs.set(job.id, job);
      return answer(200, this.#status(job, false, true), { "x-fal-request-id": job.id });
    }
    const [, , , , id = "", call, sub] = pathname.split("/");
    const job = this.#jobs.get(id);
    if (job === undefined) return call === "cancel" ? answer(404, { status: "NOT_FOUND" }) : answer(404, { detail: "Request not found" });
    const status = this.#status(job, searchParams.get("logs") === "1");
    const done = status.status === "COMPLETED";
    if (call === "status" && sub === undefined) job.asked += 1;
    if (method === "GET" && call === "status" && sub === "stream") return this.#stream(job, response);
    if (method === "GET" && call === "status") return answer(done ? 200 : 202, status, { "x-fal-request-id": id });
    if (method === "PUT" && call === "cancel") {
      if (done) return answer(400, { status: "ALREADY_COMPLETED" });
      job.cancelled = true;
      return answer(202, { status: "CANCELLATION_REQUESTED" });
    }
    if (!done) return answer(400, { detail: "Request is still in progress" });
    const [code, value] = job.cancelled ? [499, { detail: "Request was cancelled", error_type: "client_cancelled" }] : result(job.input);
    return answer(code, value, { "x-fal-request-id": id });
  }

  #status(job: Job, logs: boolean, submitted = false): { status: string } & Record<string, unknown> {
    const { queued } = this.#options;
    const response_url = `https://queue.fal.run${APP}/requests/${job.id}`;
    const urls = { request_id: job.id, response_url, status_url: `${response_url}/status`, cancel_url: `${response_url}/cancel` };
    if (submitted || (job.asked < queued && !job.cancelled)) return { status: "IN_QUEUE", ...urls, queue_position: 0 };
    const timestamp = new Date(1_700_000_000_000).toISOString();
    const lines = logs ? [{ message: "running on a runner of fal", level: "INFO", source: "USER", timestamp }] : [];
    if (job.asked < queued + this.running && !job.cancelled) return { status: "IN_PROGRESS", ...urls, logs: lines };
    const error = job.cancelled ? { error: "Request was cancelled", error_type: "client_cancelled" } : {};
    return { status: "COMPLETED", ...urls, logs: lines, metrics: { inference_time: 0.03 }, ...error };
  }

  #stream(job: Job, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "x-fal-request-id": job.id });
    let last = "";
    const tick = (): void => {
      const status = this.#status(job, last !== "IN_PROGRESS");
      job.asked += 1;
      if (status.status !== last) response.write(`data: ${JSON.stringify(status)}\n\n`);
      last = status.status;
      if (last === "COMPLETED") response.end();
      else if (!response.destroyed) setTimeout(tick, 5);
    };
    tick();
  }

  #json(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
  }
}

/** What the endpoint answers to an input: enough of its validation to compare the shapes of errors. */
export function result(input: Record<string, unknown> | null): [number, unknown] {
  const detail: object[] = [];
  if (input === null || typeof input !== "object") detail.push({ loc: ["body"], msg: "Field required", type: "missing", url: `${ERRORS}#missing` });
  else {
    if (typeof input.image_url !== "string") detail.push({ loc: ["body", "image_url"], msg: "Field required", type: "missing", url: `${ERRORS}#missing` });
    const { point_prompt: points, point_label: labels } = input;
    if (Array.isArray(points) && Array.isArray(labels) && points.length !== labels.length) {
      detail.push({ loc: ["body", "point_label"], msg: "one label for each point", type: "value_error", url: `${ERRORS}#value_error` });
    }
  }
  if (detail.length > 0) return [422, { detail }];
  const image = {
    url: "https://v3.fal.example/files/result.png",
    content_type: "image/png",
    file_name: "result.png",
    file_size: 1234,
    width: 640,
    height: 480,
  };
  return [200, { image }];
}
