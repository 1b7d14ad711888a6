import * as official from "@fal-ai/client";
import type { FalClient, Result, RunOptions } from "@fal-ai/client";
import { ENDPOINT, type Backend, type LocalEndpoint, type TinySamInput, type TinySamOutput } from "./endpoint.js";
import type { EngineSettings } from "./engine.js";
import { prepare, type Routing } from "./fallback.js";
import type { Bounds } from "./kept.js";
import { checkNames, type Names } from "../options.js";
import { Router } from "./router.js";
import { Refused, isConfigured, type Caller, type FalConfig } from "./ways.js";
import { isOurs } from "./wire.js";

/** What {@link Door.configure} takes. */
export interface FalSettings extends EngineSettings, Routing {}

const SETTINGS: Names<FalSettings> = {
  device: true,
  fallback: true,
  uploads: true,
  onBackend: true,
  weights: true,
  sha256: true,
  model: true,
  cache: true,
  worker: true,
  workers: true,
  assets: true,
  onProgress: true,
  idle: true,
};

/** The model of fal's door, which the first request loads by itself. */
export interface FalModel {
  /**
   * Loads the model where the next request would run, and says where that is; on `fal` there is nothing to load.
   *
   * @throws as {@link TinySam.load}
   */
  preload(): Promise<Backend>;
  /** Lets the model and its memory go; the next request loads it again. */
  release(): void;
}

/** The calls of this package's endpoint, typed; every other endpoint has fal's own types. */
export interface TinySamCalls {
  run(endpoint: typeof ENDPOINT, options: RunOptions<TinySamInput>): Promise<Result<TinySamOutput>>;
  subscribe(endpoint: typeof ENDPOINT, options: RunOptions<TinySamInput> & Parameters<FalClient["subscribe"]>[1]): Promise<Result<TinySamOutput>>;
}

/** fal's own client, with this package's endpoint answered on the device. */
export type DoorClient = TinySamCalls & FalClient;

/** What a door needs of its engine. */
export interface DoorEngine extends LocalEndpoint {
  release(): void;
  /** As `release`, for other settings. */
  reset(): void;
  /** Lets an idle model go when the settings say so: for when they say something else. */
  rest(): void;
}

/** fal's door: one router, the settings that it goes by, and the clients on it. */
export class Door {
  readonly #engine: DoorEngine;
  readonly #router: Router;
  #settings: FalSettings = {};
  /** What `fal` was configured with last, and the client made of it: at its first use, for importing reads nothing. */
  #config: FalConfig = {};
  #client: DoorClient | undefined;

  readonly #network: typeof fetch;
  /** A client that the application has made itself. */
  readonly #foreign: Caller;

  /**
   * @param engine made with a function that gives the settings as they are
   * @param options `results`: how long they are kept; `network`: what is asked in place of the page's `fetch`
   */
  constructor(engine: (settings: () => FalSettings) => DoorEngine, { results, network }: { results?: Bounds; network?: typeof fetch } = {}) {
    this.#engine = engine(() => this.#settings);
    this.#router = new Router({ local: this.#engine, routing: () => this.#settings, results });
    this.#network = (...request) => (network ?? globalThis.fetch)(...request);
    this.#foreign = { network: this.#network };
  }

  /** Sets how requests to `fal-ai/tiny-sam` are served; what is not named stays as it is. */
  readonly configure = (changes: FalSettings = {}): FalModel => {
    checkNames<FalSettings>(changes, SETTINGS, "the settings");
    const reload = ["weights", "sha256", "model", "cache", "worker", "workers", "assets", "device"] as const;
    const differs = reload.some((name) => name in changes && changes[name] !== this.#settings[name]);
    // A hash is of the file that it was named with.
    const { sha256, ...others } = this.#settings;
    const kept = differs && "weights" in changes && changes.weights !== others.weights ? others : this.#settings;
    this.#settings = { ...kept, ...changes };
    if (differs) this.#engine.reset();
    else if ("idle" in changes) this.#engine.rest();
    if (changes.fallback && changes.fallback.credentials !== undefined && typeof document !== "undefined") {
      console.warn("A fal key in a page can be read by everyone who opens it. Use a proxy in production.");
    }
    return {
      preload: () => {
        const { device = "auto", fallback } = this.#settings;
        const elsewhere = fallback !== false && (fallback !== undefined || (device === "auto" && isConfigured(this.#config)));
        return prepare(this.#engine, this.#settings, elsewhere);
      },
      release: () => this.#engine.release(),
    };
  };

  /** A `fetch` that answers requests to `fal-ai/tiny-sam` on the device, for a fal client of one's own. */
  readonly fetch: typeof fetch = (resource, init) => this.#router.fetchFor(this.#foreign)(resource, init);

  /** As `createFalClient` of fal's client. */
  readonly createFalClient = (config: FalConfig = {}): DoorClient => {
    const caller: Caller = { network: (...request) => (config.fetch ?? this.#network)(...request), own: true, config };
    const clientFor = (caller: Caller, silent = true): FalClient =>
      official.createFalClient({ ...config, fetch: this.#router.fetchFor(caller), ...(silent ? { suppressLocalCredentialsWarning: true } : {}) });
    const client = clientFor(caller, config.suppressLocalCredentialsWarning === true);
    const ours = clientFor({ ...caller, endpoint: true });
    // The router answers these polls when there is news: a pause between two would only delay it.
    const subscriber = () => clientFor({ ...caller, endpoint: true, told: new Map() });
    const eager = <Options extends object>(options: Options): Options => ({ ...options, pollInterval: (options as { pollInterval?: number }).pollInterval ?? 0 });
    const { queue, storage } = client;
    const { files } = this.#router;
    return {
      ...client,
      // What is refused may have been asked for by another spelling of the endpoint, such as its whole address.
      run: ((endpoint, options) =>
        endpoint === ENDPOINT ? final(ours.run(endpoint, options), options.abortSignal) : final(client.run(endpoint, options))) as FalClient["run"],
      subscribe: (async (endpoint, options) => {
        if (endpoint !== ENDPOINT) return final(client.subscribe(endpoint, options));
        return final(subscriber().subscribe(endpoint, eager(options)), options.abortSignal);
      }) as FalClient["subscribe"],
      storage: {
        upload: async (file, options) => files.reveal(await storage.upload(file, options)),
        transformInput: async (input) => files.revealAll(await storage.transformInput(input)),
      },
      queue: {
        ...queue,
        submit: ((endpoint, options) => (endpoint === ENDPOINT ? ours : client).queue.submit(endpoint, options)) as FalClient["queue"]["submit"],
        subscribeToStatus: (endpoint, options) =>
          isOurs(options.requestId) ? subscriber().queue.subscribeToStatus(endpoint, eager(options)) : queue.subscribeToStatus(endpoint, options),
        result: (endpoint, options) => final(queue.result(endpoint, options)),
      },
    };
  };

  /** fal's own client, with `fal-ai/tiny-sam` answered on the device. */
  readonly fal: DoorClient & { config(config: FalConfig): void } = this.#singleton();

  #singleton(): DoorClient & { config(config: FalConfig): void } {
    const client = () => (this.#client ??= this.createFalClient(this.#config));
    return {
      config: (config) => {
        this.#config = config;
        this.#client = this.createFalClient(config);
      },
      get queue() {
        return client().queue;
      },
      get realtime() {
        return client().realtime;
      },
      get storage() {
        return client().storage;
      },
      get streaming() {
        return client().streaming;
      },
      run: ((endpoint, options) => client().run(endpoint, options)) as FalClient["run"],
      subscribe: ((endpoint, options) => client().subscribe(endpoint, options)) as FalClient["subscribe"],
      stream: (endpoint, options) => client().stream(endpoint, options),
    };
  }
}

/** What a request came to, as fal's client tells it; for one that was aborted meanwhile, that. */
async function final<T>(result: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await result;
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof Refused ? await error.toApiError() : error;
  }
}
