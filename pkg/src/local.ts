import type { EngineModule } from "./bindings.js";
import type { Line } from "./connection.js";
import type { DeviceKind } from "./device.js";
import { TinySamError, isTrap } from "./errors.js";
import { Server } from "./server.js";

/** Devices whose module trapped: here it cannot be made anew. */
const crashed = new Set<DeviceKind>();
/** The engines of this thread, which share their device's module: what traps in one has ended all. */
const open = new Map<Server, DeviceKind>();

/**
 * The engine on the page's own thread, behind the same kind of port as a worker's.
 * @internal
 */
export function openLocal(kind: DeviceKind, wasm: string): Line {
  const { port1, port2 } = new MessageChannel();
  const server = new Server(port2, () => importModule(kind), () => trapped(kind));
  open.set(server, kind);
  const closing = new AbortController();
  const watch = (error: unknown) => {
    // The page may run other modules: only a trap inside ours is our crash.
    const { stack = "" } = isTrap(error) ? (error as Error) : {};
    if (!stack.includes(wasm) && !/tinysam/.test(stack)) return;
    server.crash(error);
  };
  // Not every place that is no browser has these.
  globalThis.addEventListener?.("error", (event) => watch(event.error), { signal: closing.signal });
  globalThis.addEventListener?.("unhandledrejection", (event) => watch(event.reason), { signal: closing.signal });
  port2.start();
  return {
    port: port1,
    close: () => {
      closing.abort();
      open.delete(server);
      server.close();
      port1.close();
    },
  };
}

function trapped(kind: DeviceKind): void {
  crashed.add(kind);
  for (const [server, other] of open) if (other === kind) server.crash(new Error("another engine of this thread has crashed"));
}

async function importModule(kind: DeviceKind): Promise<EngineModule> {
  if (crashed.has(kind)) {
    throw new TinySamError("crashed", "the engine crashed on this thread, which cannot start it anew: reload the page, or let it run in a worker");
  }
  try {
    return await (kind === "webgpu" ? import("./webgpu/tinysam.js") : import("./cpu/tinysam.js"));
  } catch (cause) {
    if (!("ServiceWorkerGlobalScope" in globalThis)) throw cause;
    throw new TinySamError("unsupported", "a service worker imports nothing while it runs: bundle it into one file", { cause });
  }
}
