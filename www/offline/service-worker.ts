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

self.addEventListener("install", (event) => event.waitUntil(keep(files.page).then(() => self.skipWaiting())));

self.addEventListener("activate", (event) => event.waitUntil(forgetOld().then(() => self.clients.claim())));

/** The page says which device's engine it runs: the other one's megabytes are not fetched. */
self.addEventListener("message", (event) => {
  if (event.data === "cpu" || event.data === "webgpu") event.waitUntil(keep(files[event.data as "cpu" | "webgpu"]));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith(request.mode === "navigate" ? newest(request) : kept(request));
});

async function keep(names: readonly string[]): Promise<void> {
  const cache = await caches.open(NAME);
  const missing: string[] = [];
  for (const name of names) if ((await cache.match(name)) === undefined) missing.push(name);
  await cache.addAll(missing);
}

async function forgetOld(): Promise<void> {
  const ours = NAME.slice(0, NAME.lastIndexOf("@") + 1);
  for (const name of await caches.keys()) if (name.startsWith(ours) && name !== NAME) await caches.delete(name);
}

/** The page itself from the network as long as there is one. */
async function newest(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const page = await (await caches.open(NAME)).match("./");
    if (page === undefined) throw error;
    return page;
  }
}

/** Files with a hash in their names never change. */
async function kept(request: Request): Promise<Response> {
  return (await (await caches.open(NAME)).match(request)) ?? fetch(request);
}
