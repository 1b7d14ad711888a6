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
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
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

function answer(mounts: Readonly<Record<string, string>>, request: IncomingMessage, response: ServerResponse): void {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname));
  // `/faulty/…` begins to send and then stops: `stall` waits, `cut` closes the connection.
  const faulty = /^\/faulty\/(stall|cut)(\/.*)$/.exec(path);
  const file = locate(mounts, faulty?.[2] ?? path);
  if (file === undefined) return void response.writeHead(404).end();
  const { size } = statSync(file);
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": size });
  if (request.method === "HEAD") return void response.end();
  if (faulty === null) return void createReadStream(file).pipe(response);
  createReadStream(file, { end: Math.floor(size / 2) })
    .on("end", () => faulty[1] === "cut" && response.destroy())
    .pipe(response, { end: false });
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
