/**
 * What the tests of the door share: an engine, a stand-in for fal, another for the rest of the net, and the clients
 * between.
 */
import type { TestContext } from "node:test";
import { createFalClient, type FalClient, type QueueStatus } from "@fal-ai/client";
import { Door, type DoorClient, type FalSettings } from "../../pkg/src/fal/door.js";
import type { Bounds } from "../../pkg/src/fal/kept.js";
import { isFal } from "../../pkg/src/fal/wire.js";
import { FakeEngine } from "./fake.js";
import { StandIn, type StandInOptions } from "./stand-in.js";

export const ENDPOINT = "fal-ai/tiny-sam";
export const IMAGE_URL = "https://example.com/cat.png";
export const KEY = "the-key:of-the-tests";

export type FalConfig = NonNullable<Parameters<typeof createFalClient>[0]>;

export interface World {
  readonly engine: FakeEngine;
  /** fal, with the hosts of its uploads and its proxy. */
  readonly standIn: StandIn;
  /** Everybody else. */
  readonly elsewhere: StandIn;
  readonly door: Door;
  /** The door's `fetch`. */
  readonly router: typeof fetch;
  /** The door's settings: what is set here is configured. */
  readonly routing: { -readonly [Name in keyof FalSettings]: FalSettings[Name] };
  /** A client of the application's own on that `fetch`. */
  client(config?: FalConfig): FalClient;
  /** This package's client. */
  own(config?: FalConfig): DoorClient;
  /** fal's client alone, without this package. */
  alone(config?: FalConfig): FalClient;
}

export async function world(test: TestContext, { results, ...options }: StandInOptions & { results?: Bounds } = {}): Promise<World> {
  hurry(test);
  const [standIn, elsewhere] = await Promise.all([StandIn.start(options), StandIn.start()]);
  test.after(() => Promise.all([standIn.close(), elsewhere.close()]));
  const network: typeof fetch = (resource, init) => {
    const url = resource instanceof Request ? resource.url : String(resource);
    const ofFal = isFal(url) || /^https:\/\/[^/]*\.fal\.example\//.test(url) || url.startsWith(standIn.origin);
    return (ofFal ? standIn : elsewhere).fetch(resource, init);
  };
  const engine = new FakeEngine();
  const door = new Door(() => engine, { network, ...(results === undefined ? {} : { results }) });
  const set = (_: object, name: string, value: unknown) => (door.configure({ [name]: value }), true);
  const routing = new Proxy({}, { set: set as never }) as World["routing"];
  const keyless = { credentials: () => undefined };
  return {
    engine,
    standIn,
    elsewhere,
    door,
    router: door.fetch,
    routing,
    client: (config = {}) => createFalClient({ ...keyless, ...config, fetch: door.fetch }),
    own: (config = {}) => door.createFalClient({ ...keyless, ...config }),
    alone: (config = {}) => createFalClient({ ...keyless, ...config, fetch: network }),
  };
}

/** `subscribe` without the pauses between polls, with all that it told on the way. */
export async function subscribe(
  client: FalClient,
  input: Record<string, unknown>,
  options: Partial<Parameters<FalClient["subscribe"]>[1]> = {},
): Promise<{ data: any; requestId: string; updates: QueueStatus[]; logs: string[] }> {
  const updates: QueueStatus[] = [];
  const { data, requestId } = await client.subscribe(ENDPOINT, {
    input,
    logs: true,
    pollInterval: 0,
    onQueueUpdate: (update: QueueStatus) => updates.push(structuredClone(update)),
    ...(options as object),
  });
  const last = updates.at(-1);
  return { data, requestId, updates, logs: last !== undefined && "logs" in last ? last.logs.map(({ message }) => message) : [] };
}

/** What an operation fails with, as its shape. */
export async function failing(operation: Promise<unknown>): Promise<any> {
  try {
    await operation;
  } catch (error) {
    return error;
  }
  throw new Error("this should have failed");
}

/** Waits until something is so: as long as it takes, for nothing here rests on how fast a machine is. */
export async function until(so: () => boolean): Promise<void> {
  while (!so()) await turn();
}

/** Lets everything happen that can happen without time passing: some turns of the event loop. */
export async function settled(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const { setTimeout } = globalThis;

/** Makes long pauses short: fal's client rests for seconds between attempts. Those of Node's own `fetch` are as they are. */
function hurry(test: TestContext): void {
  globalThis.setTimeout = ((work: () => void, ms = 0, ...rest: never[]) => {
    const ofNode = /^on[A-Z]/.test(work.name) || rest.length > 0;
    return setTimeout(work, ms < 100 || ofNode ? ms : ms / 100, ...rest);
  }) as typeof globalThis.setTimeout;
  test.after(() => (globalThis.setTimeout = setTimeout));
}
