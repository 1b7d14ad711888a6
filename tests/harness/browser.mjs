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

function file(path) {
  if (path === "/job.json") return process.argv[2];
  if (path === "/weights") return job.weights;
  if (path === "/image") return job.image.path;
  const [, folder, name] = path.match(/^\/(harness|module)\/([\w.-]+)$/) ?? [];
  if (folder === undefined) return undefined;
  return join(folder === "module" ? job.module : import.meta.dirname, name);
}

async function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/") return response.setHeader("content-type", "text/html").end(PAGE);
  if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
  if (url.pathname !== "/observe") return send(file(url.pathname), response);
  results.add(JSON.parse(decodeURIComponent(url.search.slice(1))), await body(request));
  response.end();
}

results.finish(await inChromium(job.browser, answer, async (open) => (await open("/")).evaluate(() => window.finished)));
