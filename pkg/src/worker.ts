import type { EngineModule } from "./bindings.js";
import type { DeviceKind } from "./device.js";
import { isTrap } from "./errors.js";
import type { Greeting, Port } from "./protocol.js";
import { Server } from "./server.js";

/**
 * Serves a module to the page that started this worker.
 * @internal
 */
export function serveWorker(kind: DeviceKind, module: EngineModule): void {
  const port = globalThis as unknown as Port;
  const server = new Server(port, async () => module);
  // An uncaught exception reaches the page as the worker's error event; a rejection would reach nobody.
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (isTrap(event.reason)) server.crash(event.reason);
  });
  port.postMessage({ runs: kind } satisfies Greeting, []);
}
