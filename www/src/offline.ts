/** Has the page's own files kept, with those of the device's engine, so that it opens again without a network. */
export async function keepForOffline(device: string): Promise<void> {
  // Vite's development server changes its files all the time; an insecure address has no service workers.
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("./sw.js");
    const { active, waiting, installing } = await navigator.serviceWorker.ready;
    // A newer version waits until the tabs of the older one are closed. One that comes later takes its word.
    for (const worker of [active, waiting, installing]) worker?.postMessage(device);
  } catch {
    // Private windows may refuse; the page works as well, but with a network alone.
  }
}
