import type { EngineModule } from "./bindings.js";
import { isTrap } from "./errors.js";
import type { Port } from "./protocol.js";
import { Server } from "./server.js";

/**
 * Serves a module to the page that started this worker.
 * @internal
 */
export function serveWorker(module: EngineModule): void {
  const server = new Server(globalThis as unknown as Port, async () => module);
  // An uncaught exception reaches the page as the worker's error event; a rejection would reach nobody.
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (isTrap(event.reason)) server.crash(event.reason);
  });
}
