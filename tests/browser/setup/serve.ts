import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html",
  ".jpg": "image/jpeg",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mp4": "video/mp4",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** What `/under/<name>/…` sends with its pages; `shared` sends it with every file. */
const POLICIES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  shared: { "access-control-allow-origin": "*" },
  isolation: { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" },
  "no-wasm": { "content-security-policy": "script-src 'self' 'unsafe-inline'; worker-src 'self' blob:" },
  "no-worker": { "content-security-policy": "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'none'" },
  "own-only": { "content-security-policy": "connect-src 'self'" },
  "trusted-types": { "content-security-policy": "require-trusted-types-for 'script'; trusted-types tinysam" },
  "other-trusted-types": { "content-security-policy": "require-trusted-types-for 'script'; trusted-types another" },
};

/** A static host of the plainest kind: no COOP, no COEP. Paths ending in a slash are folders. */
export async function serve(mounts: Readonly<Record<string, string>>): Promise<{ address: string; close(): Promise<void> }> {
  const server = createServer((request, response) => answer(mounts, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What was there once. */
const given = new Set<string>();

function answer(mounts: Readonly<Record<string, string>>, request: IncomingMessage, response: ServerResponse): void {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname));
  // `/faulty/…` sends half and then: `stall` nothing, `trickle` next to nothing, `cut` closes the connection.
  const faulty = /^\/faulty\/(stall|trickle|cut)(\/.*)$/.exec(path);
  // `/once/…` may be kept for an hour, and is there once.
  const once = /^\/once(\/.*)$/.exec(path);
  const under = /^\/under\/([a-z-]+)(\/.*)$/.exec(path);
  if (given.has(path)) return void response.writeHead(404).end();
  if (once !== null) given.add(path);
  const file = locate(mounts, faulty?.[2] ?? once?.[1] ?? under?.[2] ?? path);
  if (file === undefined) return void response.writeHead(404).end();
  const { size } = statSync(file);
  if (under !== null && (under[1] === "shared" || extname(file) === ".html")) {
    for (const [name, value] of Object.entries(POLICIES[under[1] ?? ""] ?? {})) response.setHeader(name, value);
  }
  if (once !== null) response.setHeader("cache-control", "max-age=3600");
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": size });
  if (request.method === "HEAD") return void response.end();
  if (faulty === null) return void createReadStream(file).pipe(response);
  createReadStream(file, { end: Math.floor(size / 2) })
    .on("end", () => {
      if (faulty[1] === "cut") response.destroy();
      if (faulty[1] === "trickle") trickle(response);
    })
    .pipe(response, { end: false });
}

/** Enough to be heard by the engine, which takes ten seconds without a step of 256 KiB for silence. */
function trickle(response: ServerResponse): void {
  const more = setInterval(() => response.write(Buffer.alloc(300_000)), 5_000);
  response.on("close", () => clearInterval(more));
}

function locate(mounts: Readonly<Record<string, string>>, path: string): string | undefined {
  for (const [mount, target] of Object.entries(mounts)) {
    const below = mount.endsWith("/") && path.startsWith(mount);
    if (!below && mount !== path) continue;
    const file = below ? join(target, path.slice(mount.length) || "index.html") : target;
    if (statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  }
  return undefined;
}
