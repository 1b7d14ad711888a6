// node browser.mjs JOB: runs a job in headless Chromium. Anything on the browser's console that is an error, a
// crash or an uncaught exception fails the run.
import { createReadStream, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { Results } from "./results.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = new Results(job.out);
const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };

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

function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/") return response.setHeader("content-type", "text/html").end(PAGE);
  if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
  if (url.pathname === "/observe") {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      results.add(JSON.parse(decodeURIComponent(url.search.slice(1))), Buffer.concat(chunks));
      response.end();
    });
    return;
  }
  const path = file(url.pathname);
  if (path === undefined) return response.writeHead(404).end();
  response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
  createReadStream(path)
    .on("error", () => response.writeHead(404).end())
    .pipe(response);
}

const server = createServer(answer);
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const browser = await chromium.launch({
  executablePath: job.browser.path,
  headless: false,
  chromiumSandbox: false,
  args: job.browser.flags,
});
const faults = [];
let facts;
try {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`console: ${message.text()}`);
    else console.error(`[${message.type()}] ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  page.setDefaultTimeout(0);
  const crashed = new Promise((_, reject) => page.on("crash", () => reject(new Error("the page crashed"))));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  facts = await Promise.race([page.evaluate(() => window.finished), crashed]);
} catch (error) {
  faults.push(error.message);
} finally {
  await browser.close();
  server.close();
}
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
results.finish(facts);
