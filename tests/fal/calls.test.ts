/**
 * What leaves the page, byte by byte: with this package in between fal gets what its client alone would have sent, and
 * nobody else gets anything. Each call by an application's own client on the door's `fetch`, and by this package's.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FalClient } from "@fal-ai/client";
import { ONLY_CPU } from "./fake.js";
import { NO_NAME, sent } from "./sent.js";
import type { Arrival } from "./stand-in.js";
import { ENDPOINT, IMAGE_URL, KEY, failing, world, type FalConfig, type World } from "./world.js";

const OTHER = "fal-ai/other/model";
const file = (name: string) => new File([new Uint8Array([0, 255, 128, 7]), name], name, { type: "image/png" });
const input = { image_url: IMAGE_URL, point_prompt: [[1, 2]] as [number, number][] };

/** The ways of a client to fal. */
const WAYS: Record<string, (standIn: World["standIn"]) => FalConfig> = {
  key: () => ({ credentials: KEY }),
  "key that is new for each call": () => {
    let made = 0;
    return { credentials: () => `key-${++made}` };
  },
  proxy: (standIn) => ({ proxyUrl: { url: standIn.proxyUrl, when: "always" } }),
  "proxy with a session": (standIn) => ({
    proxyUrl: { url: standIn.proxyUrl, when: "always" },
    requestMiddleware: (request) => Promise.resolve({ ...request, headers: { ...request.headers, "x-session": "s1", cookie: "c=1" } }),
  }),
};

/** Calls: what is done with a client. Polls are fal's client's own affair, and are left out of the comparison. */
const CALLS: Record<string, (client: FalClient) => Promise<unknown>> = {
  run: (client) => client.run(ENDPOINT, { input }),
  "run, with a file, a timeout and terms for the result": (client) =>
    client.run(ENDPOINT, { input: { image_url: file("a.png") }, startTimeout: 30, storageSettings: { expiresIn: "1h", initialAcl: { default: "forbid" } } }),
  "subscribe, with all that can be asked": (client) =>
    client.subscribe(ENDPOINT, {
      input: { image_url: file("a.png"), size: 512 },
      priority: "low",
      startTimeout: 30,
      storageSettings: { expiresIn: 120 },
      headers: { "x-app": "1", "X-Fal-No-Retry": "1" },
      webhookUrl: "https://a.example/hook?x=1",
      logs: true,
    }),
  "queue.submit, status and result": async (client) => {
    const { request_id: requestId } = await client.queue.submit(ENDPOINT, { input, priority: "low", hint: "a-runner" });
    await client.queue.subscribeToStatus(ENDPOINT, { requestId });
    await client.queue.result(ENDPOINT, { requestId });
  },
  "an upload with terms, named by this endpoint": async (client) => {
    const image_url = await client.storage.upload(file("a.png"), { lifecycle: { expiresIn: "1h", initialAcl: { default: "forbid" } } });
    await client.subscribe(ENDPOINT, { input: { image_url } });
  },
  "an upload with terms, named by another endpoint": async (client) => {
    const image_url = await client.storage.upload(file("a.png"), { lifecycle: { expiresIn: "1h", initialAcl: { default: "forbid" } } });
    await failing(client.run(OTHER, { input: { image_url, prompt: "a cat" } }));
  },
  "one upload for five prompts": async (client) => {
    const image_url = await client.storage.upload(file("a.png"));
    for (let x = 1; x <= 5; x++) await client.subscribe(ENDPOINT, { input: { image_url, point_prompt: [[x, x]] } });
  },
  "files in lists, however deep": (client) =>
    failing(client.run(OTHER, { input: { image_urls: [file("a.png"), "https://example.com/b.png"], nested: { list: [{ mask: file("c.png") }] } } })),
  "another endpoint's queue": (client) => failing(client.queue.submit(OTHER, { input: { image_url: file("a.png") }, headers: { "x-app": "1" } })),
  "another endpoint's stream": async (client) => {
    const stream = await client.stream(OTHER, { input: { image_url: file("a.png") } });
    await failing(stream.done());
  },
  "another endpoint's stream, by a token": async (client) => {
    const stream = await client.stream(OTHER, { input: { image_url: file("a.png") }, connectionMode: "client", tokenProvider: async () => "the-token" });
    await failing(stream.done());
  },
  "another endpoint by GET, with an upload in its query": async (client) => {
    const image_url = await client.storage.upload(file("a.png"));
    await failing(client.run(OTHER, { method: "get", input: { image_url, n: "ä %&=" } }));
  },
  "another endpoint, without files": (client) => failing(client.run(OTHER, { input: { prompt: "blob:fish" } })),
  "a token": (client) => failing(client.realtime.connect(OTHER, { onResult: () => {} }) && Promise.reject(new Error("asks for nothing yet"))),
};

const notPolls = ({ method, url }: Arrival) => !(method === "GET" && url.includes("/status"));
/**
 * Of headers that are new for each call it counts that they are there. And no one can know which headers of another
 * client are of its proxy's sessions and which of one call: those of a submit by proxy go with its result, too.
 */
const ofWay = (way: string) => (call: ReturnType<typeof sent>[number]) => {
  const headers = { ...call.headers };
  if (way.includes("new")) headers.authorization &&= /^Key key-\d+$/.test(String(headers.authorization));
  if (way.includes("proxy") && /GET .*requests/.test(call.call)) delete headers["x-app"];
  return { ...call, headers };
};

for (const [way, config] of Object.entries(WAYS)) {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name}, by ${way}: as fal's client alone`, async (test) => {
      const bare = await world(test);
      await call(bare.alone(config(bare.standIn)));
      const expected = sent(bare.standIn.arrivals.filter(notPolls)).map(ofWay(way));
      for (const kind of ["own", "client"] as const) {
        const { [kind]: client, engine, standIn, elsewhere } = await world(test);
        engine.choice = ONLY_CPU;
        await call(client(config(standIn)));
        assert.deepEqual(sent(standIn.arrivals.filter(notPolls)).map(ofWay(way)), expected, kind);
        assert.deepEqual(sent(elsewhere.arrivals), [], "nobody else hears of it");
        for (const { body, url } of standIn.arrivals) assert.doesNotMatch(`${url} ${body}`.replace("blob:fish", ""), NO_NAME);
      }
    });
  }
}
