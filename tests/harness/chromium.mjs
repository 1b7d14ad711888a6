// Headless Chromium, and a server of this process's own for its pages. Anything on the browser's console that is an
// error, a crash or an uncaught exception fails the run.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { chromium } from "playwright-core";

const TYPES = { ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };

/** Answers with a file, or that there is none. */
export function send(path, response) {
  if (path === undefined) return response.writeHead(404).end();
  response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
  createReadStream(path)
    .on("error", () => response.writeHead(404).end())
    .pipe(response);
}

/** The whole body of a request. */
export async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * What `work` comes to. It gets `open`, which opens the page at a path that `answer` serves, and the browser;
 * `program` has the browser's `path` and `flags`. If anything went wrong, the process says what and ends.
 */
export async function inChromium(program, answer, work) {
  const server = createServer(answer);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const browser = await chromium.launch({
    executablePath: program.path,
    headless: false,
    chromiumSandbox: false,
    args: program.flags,
  });
  const faults = [];
  let crash;
  const crashed = new Promise((_, reject) => (crash = () => reject(new Error("the page crashed"))));
  const open = async (path) => {
    const page = await browser.newPage();
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(`console: ${message.text()}`);
      else console.error(`[${message.type()}] ${message.text()}`);
    });
    page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
    page.setDefaultTimeout(0);
    page.on("crash", crash);
    await page.goto(`http://127.0.0.1:${server.address().port}${path}`);
    return page;
  };
  let found;
  try {
    found = await Promise.race([work(open, browser), crashed]);
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
  return found;
}
