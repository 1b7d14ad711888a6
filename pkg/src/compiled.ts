import type { EngineModule } from "./bindings.js";
import { TinySamError, isTrap } from "./errors.js";

/**
 * The module, fetched and compiled, or an instance of one that is; what the page forbids or its host does not serve is an error of its own.
 * @internal
 */
export async function compiled(load: () => Promise<EngineModule>, wasm: string | WebAssembly.Module): Promise<Pick<EngineModule, "Engine"> & { memory: WebAssembly.Memory }> {
  try {
    const module = await load();
    const { memory } = await module.default({ module_or_path: wasm });
    return { Engine: module.Engine, memory };
  } catch (cause) {
    if (isTrap(cause) || cause instanceof TinySamError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    if (/content security policy|unsafe-eval|blocked by CSP/i.test(why)) {
      throw new TinySamError("unsupported", `the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to its script-src (${why})`, { cause });
    }
    if (typeof wasm === "string" && wasm.startsWith("file:")) {
      throw new TinySamError("unsupported", "there is no server here that the engine's module could come from: tinysam runs in a browser", { cause });
    }
    throw new TinySamError("module_unreachable", `the engine's module could not be loaded (${why})`, { cause });
  }
}
