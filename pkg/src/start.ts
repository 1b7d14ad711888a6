import type { DeviceKind } from "./device.js";
import { TinySamError, aborted, throwIfAborted } from "./errors.js";
import type { Line } from "./connection.js";
import type { Greeting } from "./protocol.js";
import { notServed } from "./served.js";

/** Makes the worker of a device, which must run the package's `worker-cpu.js` or `worker-webgpu.js`. */
export type WorkerMaker = (device: DeviceKind) => Worker;

/** Where a worker's script lies, and what to do if it is not served there. */
interface Place {
  readonly address: string;
  readonly howToServe: () => string;
}

/**
 * Starts a device's worker: from its own address, or, where the page may not start that (it is of another origin, the
 * frame is sandboxed, the file lacks the page's COEP header), from a script of the page's own that imports it.
 * A worker of the application's own making is started as it is.
 *
 * @throws `unsupported` where no way leads to a worker, `aborted`
 * @internal
 */
export async function startWorker(kind: DeviceKind, from: Place | WorkerMaker, signal?: AbortSignal): Promise<Line> {
  throwIfAborted(signal);
  if (typeof from === "function") {
    return started(kind, () => from(kind), signal).catch((cause: unknown) => {
      throw cause instanceof TinySamError ? cause : unsupported(`the worker that \`worker\` makes did not start (${text(cause)}): it must run the package's worker-${kind}.js`, cause);
    });
  }
  if (typeof Worker === "undefined") {
    const advice = "ServiceWorkerGlobalScope" in globalThis ? "set `worker: false`, as service workers have none" : "tinysam runs in a browser";
    throw unsupported(`there are no Web Workers here: ${advice}`);
  }
  // webpack puts workers of one name into one file.
  const options: WorkerOptions = { name: `tinysam-${kind}` };
  try {
    return await started(kind, () => new Worker(trusted(from.address), options), signal);
  } catch (first) {
    if (first instanceof TinySamError) throw first;
    const script = URL.createObjectURL(new Blob([importing(from.address)], { type: "text/javascript" }));
    try {
      return await started(kind, () => new Worker(trusted(script), options), signal);
    } catch (second) {
      if (second instanceof TinySamError) throw second;
      throw unsupported(await whyNot(from, first, second), first);
    } finally {
      URL.revokeObjectURL(script);
    }
  }
}

/** Resolves when the worker's script has said that it runs. */
function started(kind: DeviceKind, make: () => Worker, signal?: AbortSignal): Promise<Line> {
  return new Promise((resolve, reject) => {
    const worker = make();
    const end = (reason: unknown) => {
      worker.terminate();
      reject(reason);
    };
    const stop = () => end(aborted(signal));
    signal?.addEventListener("abort", stop, { once: true });
    const crashed = new Promise<string>((crash) => {
      worker.addEventListener("error", (event) => {
        crash(event.message);
        signal?.removeEventListener("abort", stop);
        end(event.message);
      });
      worker.addEventListener("messageerror", () => crash("a message could not be read"));
    });
    worker.addEventListener(
      "message",
      ({ data }: MessageEvent<Partial<Greeting> | null>) => {
        signal?.removeEventListener("abort", stop);
        const runs = data?.runs;
        if (runs === kind) resolve({ port: worker, close: () => worker.terminate(), crashed });
        else end(unsupported(`the worker runs ${runs === undefined ? "another script" : `worker-${runs}.js`}, not the package's worker-${kind}.js`));
      },
      { once: true },
    );
  });
}

/**
 * A script that imports another. A classic one: frames without an origin start no module from a blob. The page's policies
 * hold in it, that of Trusted Types, too.
 */
function importing(address: string): string {
  const trust = 'globalThis.trustedTypes ? trustedTypes.createPolicy("tinysam", { createScriptURL: (address) => address })';
  return `importScripts((${trust} : { createScriptURL: String }).createScriptURL(${JSON.stringify(address)}))`;
}

/** What is used of Trusted Types, which not every browser has. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(address: string): string }): Policy;
}

interface Policy {
  createScriptURL(address: string): string;
}

/** A page lets a policy be made once. */
let policy: Policy | undefined;

/** An address as `new Worker` takes it, also where Trusted Types are required. */
function trusted(address: string): string {
  try {
    policy ??= (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy("tinysam", { createScriptURL: (given) => given });
  } catch {
    return address; // the page does not allow this policy; it may have one for everything
  }
  return policy?.createScriptURL(address) ?? address;
}

/** Why a worker started by neither way, and what to do about it. */
async function whyNot({ address, howToServe }: Place, first: unknown, second: unknown): Promise<string> {
  const reasons = [...new Set([first, second].map(text).filter((reason) => reason !== ""))].join("; ");
  const failed = `the worker did not start${reasons && ` (${reasons})`}`;
  if (/Trusted ?(Type|Script)|Sink type mismatch/i.test(reasons)) {
    return `${failed}: add tinysam to \`trusted-types\` in the page's Content-Security-Policy, or set \`worker: false\``;
  }
  const fault = await notServed(address);
  if (fault !== undefined) return `${failed}: ${address} ${fault}: ${howToServe()}`;
  return `${failed}: does the page's Content-Security-Policy allow \`worker-src 'self'\`, and \`blob:\` for ${address} if that is another origin? Else set \`worker: false\``;
}

function unsupported(message: string, cause?: unknown): TinySamError {
  return new TinySamError("unsupported", message, { cause });
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error ?? "");
}
