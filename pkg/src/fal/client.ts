import * as official from "@fal-ai/client";
import type { FalClient, Result, RunOptions } from "@fal-ai/client";
import { ENDPOINT, type TinySamInput, type TinySamOutput } from "./endpoint.js";
import { Engine, type EngineSettings } from "./engine.js";
import type { Routing } from "./fallback.js";
import { createRouter, isOurs } from "./router.js";

/** What {@link configure} takes. */
export interface FalSettings extends EngineSettings, Routing {}

// Constants, and not re-exported names, so that they stand beside the client and a bundler can leave out all of it.
/** fal's own error: a status, and the body that came with it. */
export const ApiError = official.ApiError;
export type ApiError<Body> = official.ApiError<Body>;
/** fal's own error for a status of 422: what is wrong with which field. */
export const ValidationError = official.ValidationError;
export type ValidationError = official.ValidationError;

type FalConfig = NonNullable<Parameters<typeof official.createFalClient>[0]>;

let settings: FalSettings = {};
const engine = new Engine(() => settings);

/** Sets how requests to `fal-ai/tiny-sam` are served; what is not named stays as it is. */
export function configure(changes: FalSettings): void {
  const reload = ["weights", "sha256", "cache", "worker", "device"] as const;
  const differs = reload.some((name) => name in changes && changes[name] !== settings[name]);
  settings = { ...settings, ...changes };
  if (differs) engine.reset();
  if (changes.fallback && changes.fallback.credentials !== undefined && typeof document !== "undefined") {
    console.warn("A fal key in a page can be read by everyone who opens it. Use a proxy in production.");
  }
}

function routerOn(network: typeof fetch): typeof fetch {
  return createRouter({ local: engine, routing: () => settings, network });
}

const tinysamFetch = routerOn((...request) => globalThis.fetch(...request));
/** A `fetch` that answers requests to `fal-ai/tiny-sam` on the device, for a fal client of one's own. */
export { tinysamFetch as fetch };

function create(config: FalConfig = {}): FalClient {
  const client = official.createFalClient({ ...config, fetch: config.fetch === undefined ? tinysamFetch : routerOn(config.fetch) });
  const { subscribe, queue } = client;
  // The router answers a poll when there is news: a pause between two polls would only delay it.
  const eager = <Options extends object>(endpoint: string, options: Options): Options =>
    endpoint === ENDPOINT ? { pollInterval: 0, ...options } : options;
  return {
    ...client,
    subscribe: (endpoint, options) => subscribe(endpoint, eager(endpoint, options)),
    queue: {
      ...queue,
      subscribeToStatus: (endpoint, options) =>
        queue.subscribeToStatus(endpoint, isOurs(options.requestId) ? eager(endpoint, options) : options),
    },
  };
}

let current: FalClient | undefined;
/** Made at the first use, so that importing this reads nothing of its surroundings. */
const client = (): FalClient => (current ??= create());

/** The calls of this package's endpoint, typed; every other endpoint has fal's own types. */
interface TinySamCalls {
  run(endpoint: typeof ENDPOINT, options: RunOptions<TinySamInput>): Promise<Result<TinySamOutput>>;
  subscribe(endpoint: typeof ENDPOINT, options: RunOptions<TinySamInput> & Parameters<FalClient["subscribe"]>[1]): Promise<Result<TinySamOutput>>;
}

/** fal's own client, with `fal-ai/tiny-sam` answered on the device. */
export const fal: TinySamCalls & FalClient & { config(config: FalConfig): void } = {
  config: (config) => void (current = create(config)),
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
