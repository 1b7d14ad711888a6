/**
 * The rest of fal's client, which this endpoint has no use for: it is whole in the bundle, and passes through the
 * router.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFalClient } from "@fal-ai/client";
import { Door } from "../../pkg/src/fal/door.js";
import { FakeEngine } from "./fake.js";
import { KEY } from "./world.js";

const OTHER = "fal-ai/other/model";

function routed(network: typeof fetch) {
  return createFalClient({ credentials: KEY, fetch: new Door(() => new FakeEngine(), { network }).fetch });
}

test("stream: another endpoint's events, one by one", async () => {
  const asked: unknown[] = [];
  const client = routed(async (url, init) => {
    asked.push([String(url), new Headers(init?.headers).get("authorization"), init?.body]);
    const events = [1, 2, 3].map((step) => `data: ${JSON.stringify({ step })}\n\n`);
    return new Response(events.join(""), { headers: { "content-type": "text/event-stream" } });
  });
  const stream = await client.stream(OTHER, { input: { prompt: "a cat" } });
  const seen: unknown[] = [];
  for await (const event of stream) seen.push(event);
  assert.deepEqual(seen, [{ step: 1 }, { step: 2 }, { step: 3 }]);
  assert.deepEqual(await stream.done(), { step: 3 });
  assert.deepEqual(asked, [[`https://fal.run/${OTHER}/stream`, `Key ${KEY}`, '{"prompt":"a cat"}']]);
});

test("realtime: a connection with a token, and messages there and back", async (test) => {
  /** A server that sends back what it gets. */
  class Echo {
    static readonly OPEN = 1;
    static readonly urls: string[] = [];
    readyState = 0;
    onopen = () => {};
    onmessage = (_: { data: unknown }) => {};
    constructor(url: string) {
      Echo.urls.push(url);
      setTimeout(() => ((this.readyState = Echo.OPEN), this.onopen()));
    }
    send(data: Uint8Array) {
      setTimeout(() => this.onmessage({ data: data.slice().buffer }));
    }
    close() {}
  }
  const { WebSocket } = globalThis;
  test.after(() => (globalThis.WebSocket = WebSocket));
  globalThis.WebSocket = Echo as never;

  const client = routed(() => Promise.reject(new Error("nothing is fetched")));
  const message = { prompt: "a cat", seed: 7, nested: { list: [1.5, null, true], bytes: new Uint8Array([0, 255]) } };
  const echoed = await new Promise((resolve, reject) => {
    const connection = client.realtime.connect(OTHER, {
      tokenProvider: async () => "the-token",
      onResult: resolve,
      onError: reject,
    });
    connection.send(message);
  });
  assert.deepEqual(echoed, message);
  assert.equal(Echo.urls.length, 1);
  assert.match(Echo.urls[0]!, /^wss:\/\/fal\.run\/fal-ai\/other\/model\/realtime\?fal_jwt_token=the-token/);
});
