import type { EngineModule } from "./bindings.js";
import type { DeviceKind } from "./device.js";
import { isTrap } from "./errors.js";
import { Server } from "./server.js";

/**
 * The engine on the page's own thread, behind the same kind of port as a worker's.
 * @internal
 */
export function openLocal(kind: DeviceKind): { port: MessagePort; close: () => void } {
  const { port1, port2 } = new MessageChannel();
  const server = new Server(port2, () => importModule(kind));
  const closing = new AbortController();
  const watch = (error: unknown) => {
    // The page may run other modules: only a trap inside ours is our crash.
    if (isTrap(error) && /tinysam/.test((error as Error).stack ?? "")) server.crash(error);
  };
  globalThis.addEventListener("error", (event) => watch(event.error), { signal: closing.signal });
  globalThis.addEventListener("unhandledrejection", (event) => watch(event.reason), { signal: closing.signal });
  port2.start();
  return {
    port: port1,
    close: () => {
      closing.abort();
      server.close();
      port1.close();
    },
  };
}

function importModule(kind: DeviceKind): Promise<EngineModule> {
  return kind === "webgpu" ? import("./webgpu/tinysam.js") : import("./cpu/tinysam.js");
}
