import type { DeviceKind } from "./device.js";
import { TinySamError, fromWire } from "./errors.js";
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
 * A line to an engine that has started: in a worker, or on the page's own thread.
 * @internal
 */
export interface Line {
  readonly port: Port;
  /** Ends the engine. */
  close(): void;
  /** Resolves with the words of an exception that nobody caught. */
  readonly crashed?: Promise<string>;
}

/**
 * The page's end of one engine, from its start to its end. When the engine dies, everything pending is rejected and the
 * connection stays dead; host.ts opens the next.
 * @internal
 */
export class Connection {
  readonly #kind: DeviceKind;
  readonly #line: Line;
  readonly #onDeath: (reason: TinySamError) => void;
  readonly #pending = new Map<number, Pending>();
  #death: TinySamError | undefined;
  #lastCall = 0;

  /** `onDeath` is told once, unless {@link close} was called. */
  constructor(kind: DeviceKind, line: Line, onDeath: (reason: TinySamError) => void) {
    this.#kind = kind;
    this.#line = line;
    this.#onDeath = onDeath;
    line.port.addEventListener("message", (event) => this.#receive(event.data as Response));
    line.port.start?.();
    void line.crashed?.then((what) => this.#die(crash(what)));
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

  /** Tells the first worker of an engine that another can work, or is gone. */
  tell(crew: { readonly joined: number } | { readonly lost: number }): void {
    this.#send(crew);
  }

  /** Ends the engine and everything that it holds; what is pending is rejected with `reason`. */
  close(reason: TinySamError): void {
    if (this.#death !== undefined) return;
    this.#death = reason;
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
    this.#line.close();
  }

  #die(reason: TinySamError): void {
    if (this.#death !== undefined) return;
    this.close(reason);
    this.#onDeath(reason);
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    if (this.#death === undefined) this.#line.port.postMessage(request, transfer);
  }

  #receive(response: Response): void {
    if ("crash" in response) return this.#die(crash(response.crash));
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    if ("event" in response) return pending.onEvent?.(response.event as never);
    this.#pending.delete(response.id);
    if ("value" in response) return pending.resolve(response.value as never);
    const error = fromWire(response.error);
    pending.reject(error);
    if (this.#kind === "webgpu" && error.endsDevice) this.#die(error);
  }
}

function crash(what: string): TinySamError {
  return new TinySamError("crashed", `the engine crashed (${what}); its images and masks are gone: embed the photo again`);
}
