/** Places that are no page: importing the package throws nowhere, and using it says in one sentence what to do. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

/** What the environment lacks, or has, before the package comes; and what is asked of it then. */
function inPlace(before: string, then: string): unknown {
  const script = `
    ${before}
    const { TinySam, configure, fal } = await import(${JSON.stringify(process.env.PACKAGE)});
    const told = (error) => ({ name: error.name, code: error.code, status: error.status, message: error.message });
    const input = { image_url: "https://example.com/cat.png" };
    const result = await (async () => { ${then} })().catch(told);
    console.log(JSON.stringify(result));
    process.exit();`;
  const env = { ...process.env, FAL_KEY: "" };
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8", env }));
}

const remove = (...names: string[]) => names.map((name) => `delete globalThis.${name};`).join("");
const ASK = `return await fal.subscribe("fal-ai/tiny-sam", { input });`;
const BROWSER = `globalThis.createImageBitmap = () => {};`;

test("Node: the engine says what is missing, and so does the door", () => {
  for (const load of ["TinySam.load()", "TinySam.load({ worker: false })"]) {
    assert.match(JSON.stringify(inPlace("", `return ${load};`)), /"code":"unsupported"/, load);
  }
  const told = inPlace("", ASK) as { status: number; message: string };
  assert.equal(told.status, 503);
  assert.match(told.message, /^This device cannot serve the request: this is no browser, .*\. To let fal answer, set `proxyUrl`/);
});

test("a service worker: a Worker is missing, and the sentence says what does without", () => {
  assert.match((inPlace(BROWSER, ASK) as { message: string }).message, /no Web Workers here, as in a service worker: .*`worker: false`/);
  const inline = inPlace(BROWSER, `configure({ worker: false }); ${ASK}`) as { status: number; message: string };
  assert.equal(inline.status, 503);
  assert.match(inline.message, /no server here that the engine's module could come from/);
});

test("a sandboxed frame, another origin, Trusted Types: a worker that may not start is an error that says so", () => {
  const refuse = `${BROWSER} globalThis.Worker = class { constructor() { throw new DOMException("cannot be accessed from origin 'null'", "SecurityError"); } };`;
  assert.match(JSON.stringify(inPlace(refuse, "return TinySam.load();")), /"code":"unsupported","message":"the worker did not start \(cannot be accessed from origin 'null'\): .*`worker: false`"/);
  const told = inPlace(refuse, ASK) as { status: number; message: string };
  assert.equal(told.status, 503);
  assert.match(told.message, /the worker did not start/);
  // And fal takes over, if it is there.
  const asked = `const urls = []; configure({ fallback: { credentials: "k", fetch: async (url) => (urls.push(String(url)), Response.json({ detail: "busy" }, { status: 400 })) }, device: "cpu" });`;
  assert.deepEqual(inPlace(refuse, `${asked} await fal.subscribe("fal-ai/tiny-sam", { input }).catch(() => undefined); return urls;`), ["https://queue.fal.run/fal-ai/tiny-sam"]);
});

test("Deno, Bun, older edge runtimes: whatever is missing, importing does not throw", () => {
  const all = remove("FinalizationRegistry", "MessageChannel", "Blob", "File", "navigator", "fetch", "process", "performance", "crypto");
  assert.equal(inPlace(`const { process } = globalThis; ${all}`, "globalThis.process = process; return typeof fal.subscribe;"), "function");
});
