/** Files: where they lie, under which names, what of them leaves the page, on which terms, and when they are let go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ONLY_CPU } from "./fake.js";
import { NO_NAME, sent } from "./sent.js";
import type { Arrival } from "./stand-in.js";
import { ENDPOINT, KEY, failing, settled, subscribe, world } from "./world.js";

const OTHER = "fal-ai/other/model";
const photo = (text = "a photo", name = "photo.png") => new File([text], name, { type: "image/png" });
const initiates = (arrivals: readonly Arrival[]) => arrivals.filter(({ url }) => url.includes("/storage/upload/initiate"));
const text = async (url: string) => (await fetch(url)).text();
const keyed = { credentials: KEY };
const TERMS = { lifecycle: { expiresIn: 3600, initialAcl: { default: "forbid" } } } as const;
const TERMS_SENT = '{"expiration_duration_seconds":3600,"initial_acl":{"default":"forbid"}}';

test("an upload of this package's client has an address that can be shown, and the engine reads it without fetching", async (test) => {
  const { own, engine, standIn } = await world(test);
  const url = await own(keyed).storage.upload(photo());
  assert.match(url, /^blob:/);
  assert.equal(await text(url), "a photo");
  assert.equal((await (await fetch(url)).blob()).type, "image/png");
  await subscribe(own(), { image_url: url });
  assert.equal(await engine.runs[0]!.image!.text(), "a photo");
  assert.equal(standIn.arrivals.length, 0);
});

test("transformInput gives such addresses, too, wherever the files stand", async (test) => {
  const { own } = await world(test);
  const input = await own().storage.transformInput({ a: [photo("one")], b: { c: photo("two") }, d: 1, e: "as it is", f: null });
  assert.deepEqual([await text(input.a[0]), await text(input.b.c), input.d, input.e, input.f], ["one", "two", 1, "as it is", null]);
});

test("uploads are held only where an engine could serve, or where that is set", async (test) => {
  const { own, client, engine, standIn, routing } = await world(test);
  const held = async () => {
    const before = standIn.arrivals.length;
    const [ours, theirs] = [await own().storage.upload(photo()), await client().storage.upload(photo())];
    const [first, second] = [NO_NAME.test(ours), NO_NAME.test(theirs)];
    assert.equal(first, second);
    assert.equal(initiates(standIn.arrivals.slice(before)).length, first ? 0 : 2);
    return first;
  };
  assert.equal(await held(), true);
  engine.lack = "this is no browser";
  assert.equal(await held(), false);
  routing.uploads = "held";
  assert.equal(await held(), true);
  engine.lack = undefined;
  routing.uploads = "fal";
  assert.equal(await held(), false);
});

test("with device fal uploads are fal's, unless they are set to be held", async (test) => {
  const { own, standIn, routing } = await world(test);
  routing.device = "fal";
  assert.match(await own(keyed).storage.upload(photo()), /^https:\/\/v3\.fal\.example\//);
  assert.equal(initiates(standIn.arrivals).length, 1);
  await subscribe(own(keyed), { image_url: photo() });
  assert.equal(initiates(standIn.arrivals).length, 2);
  // Without a key of its own a client reaches fal by the fallback alone.
  routing.fallback = { credentials: "the-fallback's" };
  const image_url = await own().storage.upload(photo());
  assert.match(image_url, /^blob:/);
  await subscribe(own(), { image_url });
  assert.equal(initiates(standIn.arrivals)[2]!.headers.authorization, "Key the-fallback's");
  assert.match(await own(keyed).storage.upload(photo()), /^https:/);
  routing.uploads = "held";
  assert.match(await own(keyed).storage.upload(photo()), /^blob:/);
  assert.equal(initiates(standIn.arrivals).length, 4);
});

test("with uploads on fal, a file that is given to this endpoint still stays here", async (test) => {
  const { own, engine, standIn, routing } = await world(test);
  routing.uploads = "fal";
  const client = own(keyed);
  await client.run(ENDPOINT, { input: { image_url: photo() } });
  await client.subscribe(ENDPOINT, { input: { image_url: photo() } });
  const { request_id: requestId } = await client.queue.submit(ENDPOINT, { input: { image_url: photo() } });
  await client.queue.subscribeToStatus(ENDPOINT, { requestId });
  assert.deepEqual(await Promise.all(engine.runs.map(({ image }) => image!.text())), ["a photo", "a photo", "a photo"]);
  assert.equal(standIn.arrivals.length, 0);
});

test("the terms of an upload go with it, by a fallback of configure, too; a key only goes to whom it is for", async (test) => {
  for (const fallback of [{ credentials: "the-fallback's" }, { proxyUrl: "" }]) {
    for (const kind of ["own", "client"] as const) {
      const { [kind]: make, engine, standIn, routing } = await world(test);
      routing.fallback = "proxyUrl" in fallback ? { proxyUrl: standIn.proxyUrl } : fallback;
      engine.choice = ONLY_CPU;
      const client = make({ ...keyed, requestMiddleware: (request) => Promise.resolve({ ...request, headers: { ...request.headers, cookie: "c=1", "x-session": "s" } }) });
      const image_url = await client.storage.upload(photo(), TERMS);
      const options = { startTimeout: 30, storageSettings: { expiresIn: "1h" as const }, priority: "low" as const, headers: { "X-Fal-Other": "2", "x-app": "1" } };
      await subscribe(client, { image_url }, options);
      await client.run(ENDPOINT, { input: { image_url }, startTimeout: 20, storageSettings: { expiresIn: "1d" } });
      const [initiate, ...more] = initiates(standIn.arrivals);
      assert.equal(initiate!.headers["x-fal-object-lifecycle"], TERMS_SENT);
      assert.deepEqual(more, [], "one upload for both");
      const begun = standIn.arrivals.filter(({ method, url }) => method === "POST" && url.endsWith(ENDPOINT));
      const asked = begun.map(({ headers }) => ["x-fal-request-timeout", "x-fal-object-lifecycle-preference", "x-fal-queue-priority", "x-fal-other"].map((name) => headers[name]));
      assert.deepEqual(asked, [
        ["30", '{"expiration_duration_seconds":3600}', "low", "2"],
        ["20", '{"expiration_duration_seconds":86400}', undefined, undefined],
      ]);
      for (const { headers, url } of standIn.arrivals.filter(({ url }) => !url.includes("upload.fal"))) {
        const key = "credentials" in fallback ? "Key the-fallback's" : undefined;
        assert.deepEqual([headers.authorization, headers.cookie, headers["x-session"], headers["x-app"]], [key, undefined, undefined, undefined], url);
      }
    }
  }
});

test("one upload per file and way: of five prompts, at once or one after another, and of the same file given anew", async (test) => {
  const { own, engine, standIn, routing } = await world(test);
  engine.choice = ONLY_CPU;
  const client = own(keyed);
  const file = photo();
  await Promise.all([1, 2, 3].map((x) => subscribe(client, { image_url: file, point_prompt: [[x, x]] })));
  for (const x of [4, 5]) await client.run(ENDPOINT, { input: { image_url: file, point_prompt: [[x, x]] } });
  await failing(client.run(OTHER, { input: { image_urls: [file, file] } }));
  assert.equal(initiates(standIn.arrivals).length, 1);
  const sentUrl = /https:\/\/v3[^"]*/.exec(standIn.arrivals.at(-1)!.body.toString())![0];
  assert.equal(standIn.arrivals.at(-1)!.body.toString(), JSON.stringify({ image_urls: [sentUrl, sentUrl] }));

  const url = URL.createObjectURL(photo("another"));
  for (let i = 0; i < 2; i++) await subscribe(client, { image_url: url });
  assert.equal(initiates(standIn.arrivals).length, 2);

  routing.fallback = { credentials: "another account" };
  await subscribe(client, { image_url: file });
  assert.equal(initiates(standIn.arrivals).length, 3, "another account cannot be given the first's");
  routing.fallback = { proxyUrl: standIn.proxyUrl };
  await subscribe(client, { image_url: file });
  assert.equal(initiates(standIn.arrivals).length, 4);
  await subscribe(client, { image_url: photo() });
  assert.equal(initiates(standIn.arrivals).length, 5, "another file is another, whatever is in it");
});

test("of another client's key each has its own uploads, whatever endpoint it asks", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  const url = URL.createObjectURL(photo());
  for (const [credentials, uploads] of [["a", 1], ["a", 1], ["b", 2]] as const) {
    await subscribe(client({ credentials }), { image_url: url });
    await failing(client({ credentials }).run(OTHER, { input: { image_url: url } }));
    assert.equal(initiates(standIn.arrivals).length, uploads);
  }
});

test("an upload whose terms end is not used for longer than half of them", async (test) => {
  const { own, client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  let now = Date.now();
  test.mock.method(Date, "now", () => now);
  for (const make of [own, client]) {
    standIn.arrivals.length = 0;
    const caller = make(keyed);
    const url = await caller.storage.upload(photo(), { lifecycle: { expiresIn: 100 } });
    const kept = await caller.storage.upload(photo(), { lifecycle: { expiresIn: "never" } });
    const ask = (image_url: string) => subscribe(caller, { image_url });
    await ask(url);
    await ask(kept);
    now += 49_000;
    await ask(url);
    assert.equal(initiates(standIn.arrivals).length, 2);
    now += 2_000;
    await ask(url);
    assert.equal(initiates(standIn.arrivals).length, 3);
    // Of "never" fal's client says nothing, and so nothing is known of it: half an hour.
    now += 1_700_000;
    await ask(kept);
    assert.equal(initiates(standIn.arrivals).length, 3);
    now += 1e9;
    await ask(kept);
    assert.equal(initiates(standIn.arrivals).length, 4);
  }
});

test("a failed upload is an error that says so, is not tried again by the caller's client, and is forgotten", async (test) => {
  const { own, client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  const failures: [number | "cut", number][] = [[403, 403], [503, 500], ["cut", 500]];
  for (const make of [own, client]) {
    for (const [fault, status] of failures) {
      for (const call of ["subscribe", "run", "other", "stream"] as const) {
        const caller = make(keyed);
        const image_url = await caller.storage.upload(photo());
        standIn.arrivals.length = 0;
        standIn.fault({ on: ({ url }) => url.includes(fault === "cut" ? "upload.fal" : "initiate"), with: fault, times: fault === "cut" || fault === 403 ? 1 : 4 });
        const ask = () => {
          if (call === "subscribe") return subscribe(caller, { image_url });
          if (call === "run") return caller.run(ENDPOINT, { input: { image_url } });
          if (call === "other") return caller.run(OTHER, { input: { image_url } });
          return caller.stream(OTHER, { input: { image_url } }).then((stream) => stream.done());
        };
        const error = await failing(ask());
        assert.deepEqual([error.status, error.name], [status, "ApiError"], `${fault} ${call}`);
        assert.match(error.body.detail, /^photo\.png could not be uploaded to fal: ./);
        assert.equal(initiates(standIn.arrivals).length, fault === 503 ? 4 : 1, `${fault} ${call}`);
        assert.ok(standIn.arrivals.every(({ url, body }) => !NO_NAME.test(body.toString()) && !url.includes("model")), "what named it was not sent");
        await ask().catch(() => undefined);
        assert.equal(standIn.files.size > 0, true);
        assert.match(standIn.arrivals.find(({ method, url }) => method === "POST" && /fal\.run/.test(url))!.body.toString(), /v3\.fal\.example/);
      }
    }
  }
});

test("where another endpoint cannot be reached after an upload, the error is the network's own", async (test) => {
  const { own, client, standIn } = await world(test);
  for (const make of [own, client]) {
    const caller = make(keyed);
    const image_url = await caller.storage.upload(photo());
    standIn.fault({ on: ({ url }) => url.includes(OTHER), with: "cut", times: 10 });
    const error = await failing(caller.run(OTHER, { input: { image_url } }));
    assert.equal(error.name, "TypeError");
    assert.equal(standIn.files.size > 0, true);
  }
});

test("another client's stream by a token: the file goes the way that its upload came", async (test) => {
  const { client, standIn } = await world(test);
  const proxied = client({ proxyUrl: { url: standIn.proxyUrl, when: "always" } });
  const stream = async (image_url: unknown) => {
    const started = await proxied.stream(OTHER, { input: { image_url }, connectionMode: "client", tokenProvider: async () => "t" });
    return failing(started.done());
  };
  const url = URL.createObjectURL(photo("shown"));
  assert.equal((await stream(url)).status, 401, "nothing is known of fal yet");
  assert.equal(standIn.arrivals.length, 0);
  await stream(photo());
  const [initiate, put, post] = standIn.arrivals;
  assert.deepEqual([initiate!.proxied, put!.body.toString(), post!.proxied], [true, "a photo", false]);
  assert.match(post!.url, /^https:\/\/fal\.run\/fal-ai\/other\/model\/stream\?fal_jwt_token=t$/);
  assert.match(post!.body.toString(), /^\{"image_url":"https:\/\/v3\.fal\.example\/[^"]*photo\.png"\}$/);
  assert.equal(post!.headers["x-fal-target-url"], undefined);
  await stream(url);
  assert.equal([...standIn.files.values()].map(String).at(-1), "shown");
});

test("names that mean nothing elsewhere do not leave the page", async (test) => {
  const { client, own, router, standIn, elsewhere } = await world(test);
  const held = await client().storage.upload(photo());
  const shown = await own().storage.upload(photo());
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const to = (url: string, body: unknown, more: RequestInit = {}) => router(url, { ...post, body: JSON.stringify(body), ...more });
  const other = `https://fal.run/${OTHER}`;
  const revoked = URL.createObjectURL(photo());
  URL.revokeObjectURL(revoked);
  const authorization = { headers: { ...post.headers, authorization: `Key ${KEY}` } };
  const refused: [string, () => Promise<Response>, number][] = [
    ["no way to fal", () => to(other, { image_url: held }), 401],
    ["no way to fal, for one that can be shown", () => to(other, { image_url: shown }), 401],
    ["no way to fal, in the query", () => router(`${other}?image_url=${encodeURIComponent(held)}`), 401],
    ["somebody else", () => to("https://api.example/photos", { image_url: held }), 422],
    ["somebody else, in the query", () => router(`https://api.example/photos?url=${encodeURIComponent(held)}`), 422],
    ["by a Request", () => router(new Request("https://api.example/photos", { ...post, body: JSON.stringify({ held }) })), 422],
    ["gone", () => to(other, { image_url: `${held}x` }, authorization), 422],
    ["revoked", () => to(other, { image_url: revoked }, authorization), 422],
    ["in the middle of a text", () => to(other, { prompt: `like ${held}` }, authorization), 422],
    ["in what is no JSON", () => router(other, { ...post, ...authorization, body: `image=${held}` }), 422],
  ];
  for (const [name, ask, status] of refused) {
    const answer = await ask();
    assert.equal(answer.status, status, name);
    assert.ok(((await answer.json()) as { detail: unknown }).detail, name);
  }
  assert.deepEqual([standIn.arrivals.length, elsewhere.arrivals.length], [0, 0]);
});

test("what only looks like a file of this page goes on as it is; files go to fal and to nobody else", async (test) => {
  const { router, own, standIn, elsewhere } = await world(test);
  const shown = await own().storage.upload(photo());
  const headers = { "content-type": "application/json", authorization: `Key ${KEY}` };
  const body = JSON.stringify({ prompt: "blob:fish, and a chrome-extension: too", of: "blob:x", url: shown });
  await router("https://api.example/photos", { method: "POST", headers, body });
  assert.deepEqual(elsewhere.arrivals.map((arrival) => arrival.body.toString()), [body], "a page's own address, sent to its own server, is its own affair");
  assert.equal(standIn.arrivals.length, 0);
  await router(new Request(`https://fal.run/${OTHER}?a=1`, { method: "POST", headers, body }));
  const [, , post] = standIn.arrivals;
  assert.deepEqual(
    { ...JSON.parse(post!.body.toString()), url: "" },
    { prompt: "blob:fish, and a chrome-extension: too", of: "blob:x", url: "" },
  );
  assert.match(JSON.parse(post!.body.toString()).url, /^https:\/\/v3/);
  assert.deepEqual([post!.url, post!.method, post!.headers.authorization], [`https://fal.run/${OTHER}?a=1`, "POST", `Key ${KEY}`]);
  assert.equal(elsewhere.arrivals.length, 1);
});

test("files of an input are let go with their request; only where they are at fal is remembered", async (test) => {
  const { own, router, engine, standIn } = await world(test);
  const seen: string[] = [];
  const spied = own({ ...keyed, requestMiddleware: async (request) => (seen.push(request.url), request) });
  const letGo = engine.hold();
  const running = subscribe(spied, { image_url: photo(), mask: photo("of no use") });
  await settled();
  letGo();
  await running;
  const held = (engine.runs[0]!.input as { image_url: string; mask: string }).mask;
  assert.match(held, /tinysam\.invalid/);
  assert.equal((await router(held)).status, 404);
  await spied.run(ENDPOINT, { input: { image_url: photo(), mask: photo("of no use") } });
  assert.equal((await router((engine.runs[1]!.input as { mask: string }).mask)).status, 404);

  // A busy endpoint is asked again by its client, which names the same file.
  standIn.fault({ on: ({ url }) => url.includes(OTHER), with: 503 });
  await failing(spied.run(OTHER, { input: { image_url: photo("again") } }));
  const asked = standIn.arrivals.filter(({ url }) => url.includes(OTHER)).map(({ body }) => body.toString());
  assert.equal(asked.length, 2);
  assert.equal(asked[0], asked[1]);
  assert.equal(initiates(standIn.arrivals).length, 1);
});

test("a run that is sent again names its file again", async (test) => {
  for (const kind of ["own", "client"] as const) {
    const { [kind]: make, engine, standIn } = await world(test);
    engine.choice = ONLY_CPU;
    standIn.fault({ on: ({ method, url }) => method === "POST" && url === `https://fal.run/${ENDPOINT}`, with: 429 });
    const { data } = await make(keyed).run(ENDPOINT, { input: { image_url: photo() } });
    assert.ok(data.image);
    assert.equal(initiates(standIn.arrivals).length, 1);
  }
});

test("held uploads are bounded: 64 MiB, and beyond that what the browser keeps on the disk", async (test) => {
  const { own, client } = await world(test);
  const MiB = 2 ** 20;
  const blob = (mib: number) => new Blob([new Uint8Array(mib * MiB)], { type: "image/png" });
  const there = async (url: string) => (await failing(subscribe(client(), { image_url: url })).catch(() => undefined)) === undefined;
  const uploads = [await own().storage.upload(blob(40)), await own().storage.upload(blob(20)), await own().storage.upload(new File([blob(80)], "a.png"))];
  for (const url of uploads) assert.ok((await (await fetch(url)).blob()).size > 0);
  uploads.push(await own().storage.upload(blob(10)));
  await assert.rejects(fetch(uploads[0]!), "the oldest went, and its address with it");
  for (const url of uploads.slice(1)) assert.ok((await (await fetch(url)).blob()).size > 0);

  // Another client's: what no request has named stays, for it may be one of many of an input; of the others the latest
  // do.
  const theirs = [];
  for (let i = 0; i < 5; i++) theirs.push(await client().storage.upload(blob(16)));
  for (const url of theirs) assert.ok(await there(url));
  assert.deepEqual(await Promise.all([theirs[0]!, theirs[4]!].map(there)), [false, true]);
});

test("a call of an upload that fal does not have is refused, and changes nothing; a call of none is unknown", async (test) => {
  const { client, router } = await world(test);
  const url = await client().storage.upload(photo());
  for (const [method, address] of [["POST", url], ["DELETE", url], ["DELETE", `${url}/complete`], ["POST", `${url}/2`]] as const) {
    const response = await router(address, { method });
    assert.deepEqual([response.status, await response.json()], [405, { detail: "Method Not Allowed" }], `${method} ${address}`);
  }
  const held = await router(url);
  assert.deepEqual([held.headers.get("content-type"), await held.text()], ["image/png", "a photo"]);
  assert.equal((await router(`${url}-2`)).status, 404);
});

test("parts of a large upload are one file, with its terms", async (test) => {
  const { client, router, standIn, engine } = await world(test);
  engine.choice = ONLY_CPU;
  const initiate = "https://rest.fal.ai/storage/upload/initiate-multipart?storage_type=fal-cdn-v3";
  const headers = { "x-fal-object-lifecycle": TERMS_SENT };
  const body = JSON.stringify({ file_name: "a.bin", content_type: "text/plain" });
  const { upload_url, file_url } = (await (await router(initiate, { method: "POST", headers, body })).json()) as Record<string, string>;
  for (const part of [2, 10, 1]) {
    const answer = await router(`${upload_url}/${part}`, { method: "PUT", body: `<${part}>` });
    assert.deepEqual(await answer.json(), { partNumber: part, etag: `"${part}"` });
  }
  await router(`${upload_url}/complete`, { method: "POST", body: "{}" });
  assert.equal(await (await router(file_url!)).text(), "<1><2><10>");
  assert.equal((await router(file_url!, { method: "DELETE" })).status, 405);
  await subscribe(client(keyed), { image_url: file_url });
  const [begun, put] = standIn.arrivals;
  assert.deepEqual([begun!.headers["x-fal-object-lifecycle"], put!.body.toString(), put!.headers["content-type"]], [TERMS_SENT, "<1><2><10>", "text/plain"]);
  assert.equal(sent(standIn.arrivals)[0]!.body, '{"content_type":"text/plain","file_name":"a.bin"}');
});

test("a file without a type, and a body that says nothing of the file", async (test) => {
  const { router } = await world(test);
  const initiate = "https://rest.fal.ai/storage/upload/initiate";
  const { upload_url } = (await (await router(initiate, { method: "POST" })).json()) as Record<string, string>;
  await router(upload_url!, { method: "PUT", body: "bytes" });
  const there = await router(upload_url!);
  assert.deepEqual([there.headers.get("content-type"), await there.text()], ["application/octet-stream", "bytes"]);
  assert.match(upload_url!, /-file$/);
});

test("pictures that are known at the door: a long data: URI, and nothing where the engine has the word", async (test) => {
  const { own, engine, standIn } = await world(test);
  const bytes = Buffer.alloc(1_500_000, "any bytes, in no round number");
  const uri = (type: string) => `data:${type};base64,${bytes.toString("base64")}`;
  const short = "data:image/png;base64,AAAA";
  for (const image_url of [uri("image/png"), uri("image/png;charset=x"), uri(""), short, `data:image/png;base64,${"?".repeat(1_000_001)}`, `data:text/plain,${"a".repeat(1_000_001)}`]) {
    await subscribe(own(), { image_url, size: 64 });
  }
  const [png, charset, bare, little, garbage, plain] = engine.runs.map(({ image, input }) => ({ image, url: (input as { image_url: string }).image_url }));
  for (const { image, url } of [png!, charset!, bare!]) {
    assert.ok(Buffer.from(await image!.arrayBuffer()).equals(bytes));
    assert.equal(url, "data:,", "not copied a second time");
  }
  assert.deepEqual([png!.image!.type, charset!.image!.type, bare!.image!.type], ["image/png", "image/png", ""]);
  assert.deepEqual([little!.image, little!.url], [undefined, short]);
  assert.deepEqual([garbage!.image, plain!.image], [undefined, undefined]);
  assert.ok(garbage!.url.length > 1e6);

  engine.choice = ONLY_CPU;
  await subscribe(own(keyed), { image_url: uri("image/png") });
  assert.equal(standIn.arrivals[0]!.body.toString(), JSON.stringify({ image_url: uri("image/png") }), "fal has it as it was given");
});

test("a long data: URI in lines, as many servers write it", async (test) => {
  const { own, engine } = await world(test);
  const bytes = Buffer.alloc(3_000_000, "any bytes, in no round number");
  for (const [length, end] of [[76, "\r\n"], [64, "\n"]] as const) {
    const lines = bytes.toString("base64").match(new RegExp(`.{1,${length}}`, "g"))!.join(end);
    await subscribe(own(), { image_url: `data:image/jpeg;base64,${lines}` });
    assert.ok(Buffer.from(await engine.runs.at(-1)!.image!.arrayBuffer()).equals(bytes), `lines of ${length}`);
  }
});

test("files that come in crowds are not let go for each other, on their way or in the queue", async (test) => {
  const { own, client, router, engine } = await world(test);
  const many = Array.from({ length: 1100 }, (_, i) => photo(`photo ${i}`));
  const addresses = await Promise.all(many.map((file) => client().storage.upload(file)));
  assert.equal(await (await router(addresses[0]!)).text(), "photo 0");
  assert.equal(await (await router(addresses[1099]!)).text(), "photo 1099");

  const letGo = engine.hold();
  const waiting = [0, 1, 2].map((i) => subscribe(own(), { image_url: photo(`waits ${i}`) }));
  await settled();
  const initiate = "https://rest.fal.ai/storage/upload/initiate";
  for (let i = 0; i < 10_001; i++) {
    const { upload_url } = (await (await router(initiate, { method: "POST" })).json()) as { upload_url: string };
    await router(upload_url, { method: "PUT", body: "x" });
  }
  letGo();
  await Promise.all(waiting);
  assert.deepEqual(await Promise.all(engine.runs.map(({ image }) => image!.text())), ["waits 0", "waits 1", "waits 2"]);
});

test("a Request brings its body where it does not show one, as in Firefox", async (test) => {
  const { router, client, engine, elsewhere } = await world(test);
  const asFirefox = (url: string, body: unknown) => {
    const request = new Request(url, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    return Object.defineProperty(request, "body", { value: undefined });
  };
  const answer = await router(asFirefox(`https://fal.run/${ENDPOINT}`, { image_url: "data:image/png;base64,AAAA" }));
  assert.equal(answer.status, 200);
  assert.equal(engine.runs.length, 1);
  const held = await client().storage.upload(photo());
  assert.equal((await router(asFirefox("https://elsewhere.example/", { held }))).status, 422);
  assert.equal(elsewhere.arrivals.length, 0);
});

test("pictures of an extension's own", async (test) => {
  const { own, engine } = await world(test);
  const { fetch } = globalThis;
  test.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async (url) => {
    if (String(url).endsWith("cat.png")) return new Response("an extension's cat");
    throw new TypeError("Failed to fetch");
  };
  for (const scheme of ["chrome-extension", "moz-extension", "safari-web-extension"]) {
    await subscribe(own(), { image_url: `${scheme}://abc/cat.png` });
    assert.equal(await engine.runs.at(-1)!.image!.text(), "an extension's cat");
  }
  const error = await failing(subscribe(own(), { image_url: "chrome-extension://abc/none.png" }));
  assert.deepEqual([error.status, error.getFieldErrors("image_url")[0].type], [422, "file_download_error"]);
});
