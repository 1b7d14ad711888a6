// node browser.mjs JOB: runs a job in headless Chromium.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { body, inChromium, send } from "./chromium.mjs";
import { Results } from "./results.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = new Results(job.out);

const PAGE = `<!doctype html><meta charset="utf-8"><title>tinysam harness</title><script type="module">
const worker = new Worker("/harness/worker.mjs", { type: "module" });
window.finished = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.facts));
  worker.onerror = (event) => reject(new Error(event.message ?? "the worker could not be started"));
});
window.finished.catch(() => {});
</script>`;

/** The package has workers of its own. */
const PACKAGE = `<!doctype html><meta charset="utf-8"><title>tinysam harness</title><script type="module">
import { run } from "/harness/run.mjs";
import { packaged } from "/harness/package.mjs";
import * as tinysam from "/package/engine.js";
window.finished = run(({ workers }) => ({ module: packaged(tinysam, workers), memory: (engine) => engine.memory() }));
window.finished.catch(() => {});
</script>`;

const FOLDERS = { harness: import.meta.dirname, module: job.module, package: job.package };

function file(path) {
  if (path === "/job.json") return process.argv[2];
  if (path === "/weights") return job.weights;
  if (path === "/image") return job.image.path;
  const [, folder, name] = path.match(/^\/(harness|module|package)\/([\w.-]+)$/) ?? [];
  return FOLDERS[folder] && join(FOLDERS[folder], name);
}

async function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/") return response.setHeader("content-type", "text/html").end(job.workers ? PACKAGE : PAGE);
  if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
  if (url.pathname !== "/observe") return send(file(url.pathname), response);
  results.add(JSON.parse(decodeURIComponent(url.search.slice(1))), await body(request));
  response.end();
}

results.finish(await inChromium(job.browser, answer, async (open) => (await open("/")).evaluate(() => window.finished)));
