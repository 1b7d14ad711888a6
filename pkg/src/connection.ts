import type { DeviceKind } from "./device.js";
import { TinySamError, fromWire } from "./errors.js";
import { openLocal } from "./local.js";
import type { CallName, Calls, EmbeddingId, MaskId, Port, Request, Response } from "./protocol.js";

/** What a call may bring along. */
export interface CallOptions<Name extends CallName> {
  readonly transfer?: Transferable[];
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: Calls[Name]["event"]) => void;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: TinySamError) => void;
  readonly onEvent: ((event: never) => void) | undefined;
}

/**
 * The page's end of one engine: a worker from its start to its end, or the engine on the page's own thread.
 * When the engine dies, everything pending is rejected and the connection stays dead; host.ts opens the next.
 * @internal
 */
export class Connection {
  readonly #port: Port;
  readonly #stop: () => void;
  readonly #onDeath: (reason: TinySamError) => void;
  readonly #pending = new Map<number, Pending>();
  #death: TinySamError | undefined;
  #lastCall = 0;

  /** Starts a worker, or the engine here. `onDeath` is told once, unless {@link close} was called. */
  constructor(kind: DeviceKind, inWorker: boolean, onDeath: (reason: TinySamError) => void) {
    this.#onDeath = onDeath;
    if (inWorker) {
      const worker = startWorker(kind);
      let spoke = false;
      worker.addEventListener("message", () => (spoke = true), { once: true });
      worker.addEventListener("error", (event) => this.#die(spoke ? crash(event.message) : notStarted(event)));
      worker.addEventListener("messageerror", () => this.#die(crash("a message could not be read")));
      this.#port = worker;
      this.#stop = () => worker.terminate();
      worker.addEventListener("message", (event) => this.#receive(event.data as Response));
    } else {
      const local = openLocal(kind);
      this.#port = local.port;
      this.#stop = local.close;
      local.port.addEventListener("message", (event) => this.#receive(event.data as Response));
      local.port.start();
    }
  }

  /** Why this connection is dead, if it is. */
  get death(): TinySamError | undefined {
    return this.#death;
  }

  /**
   * Calls the engine. An abort is passed on; the promise still waits for the engine's own answer, because
   * what comes after must not start before (lane.ts lets the caller go at once).
   */
  call<Name extends CallName>(name: Name, args: Calls[Name]["args"], options: CallOptions<Name> = {}): Promise<Calls[Name]["reply"]> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    const id = ++this.#lastCall;
    const abort = () => this.#send({ abort: id });
    const reply = new Promise<Calls[Name]["reply"]>((resolve, reject) => {
      this.#send({ id, name, args } as Request, options.transfer);
      this.#pending.set(id, { resolve, reject, onEvent: options.onEvent });
    });
    options.signal?.addEventListener("abort", abort);
    if (options.signal?.aborted) abort();
    return reply.finally(() => options.signal?.removeEventListener("abort", abort));
  }

  freeEmbedding(id: EmbeddingId): void {
    this.#send({ freeEmbedding: id });
  }

  freeMask(id: MaskId): void {
    this.#send({ freeMask: id });
  }

  /** Ends the engine and everything that it holds; what is pending is rejected with `reason`. */
  close(reason: TinySamError): void {
    if (this.#death !== undefined) return;
    this.#death = reason;
    this.#stop();
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
  }

  #die(reason: TinySamError): void {
    if (this.#death !== undefined) return;
    this.close(reason);
    this.#onDeath(reason);
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    if (this.#death === undefined) this.#port.postMessage(request, transfer);
  }

  #receive(response: Response): void {
    if ("crash" in response) return this.#die(crash(response.crash));
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    if ("event" in response) return pending.onEvent?.(response.event as never);
    this.#pending.delete(response.id);
    if ("value" in response) return pending.resolve(response.value as never);
    pending.reject(fromWire(response.error));
    // Embeddings on a lost GPU are gone, and the module cannot ask for another device: start over.
    if (response.error.code === "device_lost") this.#die(fromWire(response.error));
  }
}

function startWorker(kind: DeviceKind): Worker {
  if (typeof Worker === "undefined") {
    throw new TinySamError("unsupported", "there are no Web Workers here: tinysam runs in a browser");
  }
  // Bundlers look for exactly this form, with literals. webpack puts workers of one name into one file.
  return kind === "webgpu"
    ? new Worker(new URL("./worker-webgpu.js", import.meta.url), { type: "module", name: "tinysam-webgpu" })
    : new Worker(new URL("./worker-cpu.js", import.meta.url), { type: "module", name: "tinysam-cpu" });
}

function crash(what: string): TinySamError {
  return new TinySamError("crashed", `the engine crashed (${what}); its images and masks are gone: embed the photo again`);
}

function notStarted(event: ErrorEvent): TinySamError {
  const why = event.message ? `: ${event.message}` : "";
  return new TinySamError(
    "unsupported",
    `the worker did not start${why}. Are the package's worker-*.js files served, and does the page's CSP allow worker-src 'self' and 'wasm-unsafe-eval'?`,
  );
}
