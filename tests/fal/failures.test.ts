/** What a failure of the device is called on the wire, as fal documents it, and who asks again after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, createFalClient, type FalClient, type QueueStatus } from "@fal-ai/client";
import { ONLY_CPU, coded } from "./fake.js";
import { ENDPOINT, IMAGE_URL, KEY, failing, until, world, type FalConfig, type World } from "./world.js";

const input = { image_url: IMAGE_URL };
const QUEUE = "https://queue.fal.run/fal-ai/tiny-sam";
const RUN = "https://fal.run/fal-ai/tiny-sam";

/** Every code with which the engine fails: fal's status and type for it, and whether it may help to ask again. */
const TABLE: [code: string, status: number, type: string, retryable: boolean][] = [
  ["aborted", 499, "client_cancelled", false],
  ["device_unavailable", 503, "runner_scheduling_failure", false],
  ["unsupported", 503, "runner_scheduling_failure", false],
  ["device_lost", 503, "runner_disconnected", true],
  ["crashed", 503, "runner_disconnected", true],
  ["released", 503, "runner_disconnected", true],
  ["out_of_memory", 500, "runner_server_error", false],
  ["checkpoint_unreachable", 503, "runner_connection_error", true],
  ["module_unreachable", 503, "runner_connection_error", true],
  ["checkpoint_invalid", 500, "internal_error", false],
  ["checkpoint_mismatch", 500, "internal_error", false],
  ["checkpoint_hash", 500, "internal_error", false],
  ["internal", 500, "internal_error", false],
  ["something of a later version", 500, "internal_error", false],
];

/** A device that fails with a code, whatever is asked of it, and no fal. */
async function failingWith(test: Parameters<typeof world>[0], code: string): Promise<World> {
  const made = await world(test);
  made.engine.choice = ONLY_CPU;
  made.engine.failures.push(...Array.from({ length: 100 }, () => coded(code)));
  return made;
}

/** A client of the application's own, with the calls that it makes: what ends each address, and its method. */
function counted({ router }: World, config: FalConfig = {}): { asked: FalClient; calls: string[] } {
  const calls: string[] = [];
  const fetch: typeof globalThis.fetch = (resource, init) => {
    const url = String(resource).replace(/\?.*$/, "").replace(/requests\/[\w-]+/, "requests");
    calls.push(`${init?.method ?? "GET"} ${url.split("/").at(-1)}`);
    return router(resource, init);
  };
  return { asked: createFalClient({ credentials: () => undefined, ...config, fetch }), calls };
}

const times = (calls: string[], call: string) => calls.filter((made) => made === call).length;

for (const [code, status, type, retryable] of TABLE) {
  test(`${code}: ${status} ${type}, and ${retryable ? "another try may help" : "no other try helps"}`, async (test) => {
    const { router, own } = await failingWith(test, code);
    const response = await router(RUN, { method: "POST", body: JSON.stringify(input) });
    // An answer that stays what it is has a number after which fal's client does not ask again.
    const told = status === 503 && !retryable ? 500 : status;
    assert.equal(response.status, told);
    const { detail, ...body } = (await response.json()) as Record<string, unknown>;
    assert.match(String(detail), new RegExp(`the engine says ${code}`));
    assert.deepEqual(body, { error_type: type });
    const headers = ["x-fal-error-type", "x-fal-retryable", "x-tinysam-status"].map((name) => response.headers.get(name));
    assert.deepEqual(headers, [type, `${retryable}`, told === status ? null : `${status}`]);

    const updates: QueueStatus[] = [];
    const error = await failing(own().subscribe(ENDPOINT, { input, onQueueUpdate: (update) => void updates.push(update) }));
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.body], [status, { detail, error_type: type }]);
    const completed = updates.at(-1) as QueueStatus & { error?: unknown; error_type?: unknown };
    assert.deepEqual([completed.status, completed.error, completed.error_type], ["COMPLETED", detail, type]);
    assert.ok(updates.slice(0, -1).every((update) => !("error" in update) && !("error_type" in update)));
  });
}

test("with a fallback forbidden, or a device that was named, it is the same error", async (test) => {
  for (const settings of [{ fallback: false }, { device: "cpu" }, { device: "webgpu" }] as const) {
    const { own, door, engine } = await failingWith(test, "device_unavailable");
    door.configure(settings);
    const error = await failing(own().subscribe(ENDPOINT, { input }));
    assert.deepEqual([error.status, error.body.error_type], [503, "runner_scheduling_failure"]);
    engine.choice = coded("device_unavailable");
    engine.failures.length = 0;
    if ("device" in settings) assert.equal((await failing(own().subscribe(ENDPOINT, { input }))).body.error_type, "runner_scheduling_failure");
  }
});

test("where fal alone may serve, a missing key is a 401, and a forbidden fal a device that is not there", async (test) => {
  const { own, routing } = await world(test);
  routing.device = "fal";
  const keyless = await failing(own().subscribe(ENDPOINT, { input }));
  assert.deepEqual([keyless.status, keyless.body], [401, { detail: keyless.message }]);
  routing.fallback = false;
  const forbidden = await failing(own().subscribe(ENDPOINT, { input }));
  assert.deepEqual([forbidden.status, forbidden.body.error_type], [503, "runner_scheduling_failure"]);
});

test("a request that was cancelled, one that waited too long, and what nobody foresaw have their types, too", async (test) => {
  const { router, own, engine, routing } = await world(test);
  const letGo = engine.hold();
  const submit = async (headers = {}) => (await (await router(QUEUE, { method: "POST", headers, body: JSON.stringify(input) })).json()) as Record<string, string>;
  const first = await submit();
  const late = await submit({ "x-fal-request-timeout": "0.01" });
  const second = await submit();
  await router(second.cancel_url!, { method: "PUT" });
  const cancelled = await router(second.response_url!);
  assert.deepEqual([cancelled.status, cancelled.headers.get("x-fal-error-type")], [499, "client_cancelled"]);
  const status = async () => (await (await router(late.status_url!)).json()) as Record<string, string>;
  let told = await status();
  while (told.status !== "COMPLETED") told = await status();
  assert.equal(told.error_type, "startup_timeout");
  const response = await router(late.response_url!);
  const late504 = ["x-fal-request-timeout-type", "x-fal-retryable", "x-tinysam-status"].map((name) => response.headers.get(name));
  assert.deepEqual([response.status, ...late504], [504, "user", "false", null], "which no client tries again");
  letGo();
  await until(() => engine.running === 0);
  assert.equal((await router(first.response_url!)).status, 200);
  routing.onBackend = () => {
    throw new Error("a listener throws");
  };
  const odd = await failing(own().subscribe(ENDPOINT, { input }));
  assert.deepEqual([odd.status, odd.body.error_type], [500, "internal_error"]);
});

test("a stored 429 or 5xx of fal is read once by a client of the application's own, and fal's words are in it", async (test) => {
  for (const [status, call] of [[429, "submit"], [502, "submit"], [503, "submit"], [504, "submit"], [429, "result"], [503, "result"]] as const) {
    const made = await world(test);
    made.engine.choice = ONLY_CPU;
    const on = ({ method, url }: { method: string; url: string }) =>
      call === "submit" ? method === "POST" && url === QUEUE : method === "GET" && /requests\/[^/]+$/.test(url);
    made.standIn.fault({ on, with: status, times: Infinity });
    const { asked, calls } = counted(made, { credentials: KEY });
    const error = await failing(asked.subscribe(ENDPOINT, { input, pollInterval: 0 }));
    assert.equal(times(calls, "GET requests"), 1, `${status} to ${call}`);
    assert.equal(made.standIn.arrivals.filter(on).length, 4, "fal itself was asked as often as by its client alone");
    assert.ok(error instanceof ApiError);
    const alone = await failing(made.alone({ credentials: KEY }).subscribe(ENDPOINT, { input }));
    assert.deepEqual([error.message, error.body, error.status], [alone.message, alone.body, 500]);
    const { requestId } = error;
    const stored = await made.router(`${QUEUE}/requests/${requestId}`);
    assert.equal(stored.headers.get("x-tinysam-status"), `${status}`);
    assert.equal((await failing(made.own().queue.result(ENDPOINT, { requestId }))).status, status, "this package's own reads the number itself");
  }
});

test("fal's kind of an error reaches the caller's status and header", async (test) => {
  const { router, routing } = await world(test);
  routing.device = "fal";
  const body = { detail: "Request timed out", error_type: "request_timeout" };
  routing.fallback = { credentials: KEY, fetch: async () => Response.json(body, { status: 504 }) };
  const { status_url, response_url } = (await (await router(QUEUE, { method: "POST", body: JSON.stringify(input) })).json()) as Record<string, string>;
  const status = async () => (await (await router(status_url!)).json()) as Record<string, string>;
  let told = await status();
  while (told.status !== "COMPLETED") told = await status();
  assert.equal(told.error_type, "request_timeout");
  const response = await router(response_url!);
  assert.deepEqual([response.status, response.headers.get("x-fal-error-type"), await response.json()], [500, "request_timeout", body]);
});

test("run: what no other try helps is asked once, and what may pass as often as fal's client would", async (test) => {
  for (const [code, attempts] of [["device_unavailable", 1], ["checkpoint_unreachable", 4]] as const) {
    const made = await failingWith(test, code);
    const { asked, calls } = counted(made);
    await failing(asked.run(ENDPOINT, { input }));
    assert.deepEqual([times(calls, "POST tiny-sam"), made.engine.runs.length], [attempts, attempts], code);
    const error = await failing(made.own().run(ENDPOINT, { input }));
    assert.equal(made.engine.runs.length, 2 * attempts);
    assert.deepEqual([error instanceof ApiError, error.status], [true, 503]);
  }
});

test("by whatever spelling the endpoint is called, an error is fal's own", async (test) => {
  const { own } = await failingWith(test, "device_unavailable");
  for (const endpoint of [RUN, `${ENDPOINT}/`]) {
    const error = await failing(own().run(endpoint, { input }));
    assert.deepEqual([error instanceof ApiError, error.status, error.body?.error_type], [true, 503, "runner_scheduling_failure"], endpoint);
  }
  const error = await failing(own().subscribe(`${ENDPOINT}/`, { input }));
  assert.deepEqual([error instanceof ApiError, error.status, error.body?.error_type], [true, 503, "runner_scheduling_failure"]);
});
