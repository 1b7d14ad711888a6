/** What the tests of the router share: an engine, a stand-in for fal, and fal's own client between them. */
import type { TestContext } from "node:test";
import { createFalClient, type FalClient, type QueueStatus } from "@fal-ai/client";
import type { Routing } from "../../pkg/src/fal/fallback.js";
import { createRouter, type RouterOptions } from "../../pkg/src/fal/router.js";
import { FakeEngine } from "./fake.js";
import { StandIn, type StandInOptions } from "./stand-in.js";

export const ENDPOINT = "fal-ai/tiny-sam";
export const IMAGE_URL = "https://example.com/cat.png";
export const KEY = "the-key:of-the-tests";

type FalConfig = NonNullable<Parameters<typeof createFalClient>[0]>;

export interface World {
  readonly engine: FakeEngine;
  readonly standIn: StandIn;
  readonly router: typeof fetch;
  readonly routing: { -readonly [Name in keyof Routing]: Routing[Name] };
  /** fal's client on the router. */
  client(config?: FalConfig): FalClient;
}

export async function world(test: TestContext, options: StandInOptions & Pick<RouterOptions, "results"> = {}): Promise<World> {
  const standIn = await StandIn.start(options);
  test.after(() => standIn.close());
  const engine = new FakeEngine();
  const routing: World["routing"] = {};
  const results = options.results === undefined ? {} : { results: options.results };
  const router = createRouter({ local: engine, routing: () => routing, network: standIn.fetch, ...results });
  const client = (config: FalConfig = {}): FalClient => createFalClient({ credentials: () => undefined, ...config, fetch: router });
  return { engine, standIn, router, routing, client };
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

/** Makes the pauses between attempts short: fal's client rests for seconds. */
export function hurry(test: TestContext): void {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((work: () => void, ms = 0, ...rest: never[]) => setTimeout(work, ms / 100, ...rest)) as typeof setTimeout;
  test.after(() => (globalThis.setTimeout = setTimeout));
}
