// node rival.mjs JOB: the engine and onnxruntime-web in one Chromium, in turn. JOB is described in xtask/src/rival.rs.
//
// Each contestant has a page of its own and in it a worker, rival-worker.mjs; several workers of ours are the package's. The
// engine's pages are served as any host would; threads need one that is isolated from other origins.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { body, inChromium, send } from "./chromium.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const FOLDERS = {
  harness: import.meta.dirname,
  module: job.module,
  models: job.models,
  package: job.package,
  onnxruntime: join(job.onnxruntime, "dist"),
};
/** What is timed, and how often in one go: processors' time is told in steps of ten milliseconds. */
const TIMED = { encode: 1, prompt: 8 };
/** A pool of threads spins on for a while when its work is done: nobody else shall pay for that. */
const SETTLING_MS = 200;

const PAGE = `<!doctype html><meta charset="utf-8"><title>tinysam and its rival</title><script type="module">
const workers = Number(new URLSearchParams(location.search).get("workers"));
if (workers > 0) {
  const { contestant } = await import("./harness/rival-package.mjs");
  window.ask = contestant(workers);
} else {
const worker = new Worker("harness/rival-worker.mjs" + location.search, { type: "module" });
window.ask = (verb, times) => new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.answer));
  worker.onerror = (event) => reject(new Error(event.message ?? "the worker could not be started"));
  worker.postMessage({ verb, times });
});
}
window.ready = true;
</script>`;

/** What the engine's worker leaves for the others. */
const kept = new Map();

function file(path) {
  if (path === "job.json") return process.argv[2];
  if (path === "weights") return job.weights;
  if (path === "image") return job.image.path;
  const [, folder, name] = path.match(/^(\w+)\/([\w.-]+)$/) ?? [];
  return folder in FOLDERS ? join(FOLDERS[folder], name) : undefined;
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/favicon.ico") return response.writeHead(204).end();
  const [, kind, path] = pathname.match(/^\/(plain|isolated)\/(.*)$/) ?? [];
  if (kind === "isolated") for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
  if (path === "") return response.setHeader("content-type", "text/html").end(PAGE);
  if (request.method === "POST") return response.end(void kept.set(path, await body(request)));
  if (kept.has(path)) return response.end(kept.get(path));
  send(path && file(path), response);
}

/** Milliseconds of processors that all of the browser has taken. */
async function processors(session) {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return 1000 * processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

const found = await inChromium(job.browser, answer, async (open, browser) => {
  const session = await browser.newBrowserCDPSession();
  const contestants = [];
  // The engine first: the others are held to what it leaves.
  const ours = job.threads.map((workers) => ({ workers, address: `/plain/?${workers > 1 ? `workers=${workers}` : ""}` }));
  const theirs = job.threads.map((threads) => ({ threads, address: `/${threads > 1 ? "isolated" : "plain"}/?threads=${threads}` }));
  for (const { address, ...who } of [...ours, ...theirs]) {
    const page = await open(address);
    await page.waitForFunction(() => window.ready);
    const deviation = await page.evaluate(() => window.ask("open", 1));
    const times = Object.fromEntries(Object.keys(TIMED).map((verb) => [verb, { wall: [], cpu: [] }]));
    contestants.push({ page, who, deviation, times });
  }
  for (let run = 0; run < job.runs; run++) {
    for (const [verb, often] of Object.entries(TIMED)) {
      for (const { page, times } of contestants) {
        await page.bringToFront();
        await pause(SETTLING_MS);
        const before = await processors(session);
        const wall = await page.evaluate(([verb, often]) => window.ask(verb, often), [verb, often]);
        times[verb].cpu.push((await processors(session) - before) / often);
        times[verb].wall.push(wall / often);
      }
    }
  }
  return contestants.map(({ who, deviation, times }) => ({ ...who, deviation, ...times }));
});
const { version } = JSON.parse(readFileSync(join(job.onnxruntime, "package.json"), "utf8"));
writeFileSync(job.out, JSON.stringify({ version, size: job.size, contestants: found }));
