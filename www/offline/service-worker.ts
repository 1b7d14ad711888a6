// Keeps the page's own files, so that it opens again without a network. The weights are not among them: the
// package keeps those itself.
export {};
declare const self: ServiceWorkerGlobalScope;

/** The page's files, relative to this one, as vite.config.ts fills them in: for every device, and for one. */
declare const FILES: { readonly page: readonly string[]; readonly cpu: readonly string[]; readonly webgpu: readonly string[] };
/** Changes with any of the files. */
declare const VERSION: string;

const files = FILES;
const PREFIX = "tinysam-page-";
/** Of the folder, too: two copies of the page may share a host. */
const NAME = `${PREFIX}${new URL("./", self.location.href).pathname}@${VERSION}`;
/** What has no hash in its name, and is asked for anew as long as there is a network. */
const CHANGING = new Set([new URL("models/index.json", self.location.href).href]);
/** Where the page itself is. */
const PAGES = new Set(["./", "./index.html"].map((name) => new URL(name, self.location.href).pathname));
/** Samples as the small checkpoint encoded them: of no use to who has another, so kept only when they are asked for. */
const ENCODED = new URL("photos/encoded/", self.location.href).href;
/** A network slower than this is none for the page itself, if that is kept; in milliseconds. */
const PATIENCE_MS = 5_000;

// Without skipWaiting: open tabs ask for the files of the version that they are of, whenever they start an engine. This
// version's turn comes, and the old one's files go, when the last of them is closed.
self.addEventListener("install", (event) => event.waitUntil(keep(files.page).then(keepAsBefore)));

self.addEventListener("activate", (event) => event.waitUntil(forgetOld().then(() => self.clients.claim())));

/** The page says which device's engine it runs: the other one's megabytes are not fetched. */
self.addEventListener("message", (event) => {
  if (event.data === "cpu" || event.data === "webgpu") event.waitUntil(keepFor(event.data));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== self.location.origin) return;
  // Other documents may lie in this folder, too.
  if (request.mode === "navigate" && PAGES.has(new URL(request.url).pathname)) event.respondWith(newest(request, "./"));
  else event.respondWith(CHANGING.has(request.url) ? newest(request, request.url) : kept(request));
});

async function keep(names: readonly string[]): Promise<void> {
  const cache = await caches.open(NAME);
  const missing: string[] = [];
  for (const name of names) if ((await cache.match(name)) === undefined) missing.push(name);
  // What a name without a hash stands for may be another version's in the browser's own cache.
  const requests = missing.map((name) => new Request(name, { cache: name === "./" || CHANGING.has(new URL(name, self.location.href).href) ? "reload" : "default" }));
  await cache.addAll(requests);
}

/** The engine of a device, and word of it for the version after this one. */
async function keepFor(device: "cpu" | "webgpu"): Promise<void> {
  await keep(files[device]);
  await (await caches.open(NAME)).put(markOf(device), new Response(""));
}

/** The devices whose engines the versions before this one have kept: when they go, this one has to work without a network. */
async function keepAsBefore(): Promise<void> {
  for (const name of await older()) {
    const cache = await caches.open(name);
    for (const device of ["cpu", "webgpu"] as const) if (await cache.match(markOf(device))) await keepFor(device);
  }
}

/** An address that no file has. */
function markOf(device: string): string {
  return new URL(`kept-for-${device}`, self.location.href).href;
}

async function forgetOld(): Promise<void> {
  for (const name of await older()) await caches.delete(name);
}

/** The caches of this page's other versions. */
async function older(): Promise<string[]> {
  const ours = NAME.slice(0, NAME.lastIndexOf("@") + 1);
  return (await caches.keys()).filter((name) => name.startsWith(ours) && name !== NAME);
}

/** From the network as long as there is one that answers; else what is kept under this name. */
async function newest(request: Request, name: string): Promise<Response> {
  const page = await (await caches.open(NAME)).match(name);
  const answer = fetch(request);
  if (page === undefined) return answer;
  const late = new Promise<Response>((resolve) => setTimeout(() => resolve(page), PATIENCE_MS));
  return Promise.race([answer, late]).catch(() => page);
}

/** Files with a hash in their names never change, nor do samples within a version. */
async function kept(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  const found = await cache.match(request);
  if (found !== undefined) return found;
  const answer = await fetch(request);
  // Where there is no room for it, it is fetched again.
  if (answer.ok && request.url.startsWith(ENCODED)) await cache.put(request, answer.clone()).catch(() => undefined);
  return answer;
}
