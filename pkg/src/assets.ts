import type { DeviceKind } from "./device.js";
import { TinySamError } from "./errors.js";
import { absoluteUrl } from "./weights.js";

/**
 * The addresses of a device's two files.
 * @internal
 */
export interface Assets {
  /** A classic script with everything in it but the module. */
  readonly worker: string;
  /** The WebAssembly module. */
  readonly wasm: string;
}

/**
 * Where the files of a device lie: in `folder`, if the application names one; else beside this script, where bundlers
 * put them.
 *
 * @throws `unsupported` where a bundle does not know its own address; `option_invalid`
 * @internal
 */
export function assetsOf(kind: DeviceKind, folder?: string | URL): Assets {
  if (folder === undefined) {
    const { worker, wasm } = beside(kind);
    return { worker: packaged(worker), wasm: packaged(wasm) };
  }
  const base = absoluteUrl(folder, "option_invalid").replace(/\/*([?#].*)?$/, "/");
  return { worker: `${base}worker-${kind}.js`, wasm: `${base}tinysam-${kind}.wasm` };
}

/**
 * What to do where the files of a device are not served, in the words of the tool that left them out.
 * @internal
 */
export function howToServe(kind: DeviceKind, folder?: string | URL): string {
  if (folder !== undefined) return `does the folder that \`assets\` names hold node_modules/tinysam/dist/${FILES}?`;
  if (IN_CACHE.test(new URL(beside(kind).worker).pathname)) {
    return 'Vite before 8 moves packages into its cache: set `optimizeDeps: { exclude: ["tinysam"] }` in its configuration';
  }
  if (new URL(beside(kind).worker).hostname === "esm.sh") {
    return "esm.sh serves modules alone: import https://cdn.jsdelivr.net/npm/tinysam/+esm, or name a folder that has them: `assets`";
  }
  if (globalThis.document?.querySelector("[ng-version]")) {
    return `give "assets" in angular.json { "glob": "${FILES}", "input": "node_modules/tinysam/dist", "output": "/" }`;
  }
  return `copy node_modules/tinysam/dist/${FILES} beside the bundle, or to a folder that is named: \`assets: "/tinysam/"\``;
}

/** The files that tools without assets of modules leave out. */
const FILES = "*-{cpu,webgpu}.{js,wasm}";

/**
 * Bundlers look for exactly this form, with literals, and emit the files: here alone, so that each is emitted once.
 * (webpack replaces a bare `import.meta.url` by a path of the machine that it runs on.)
 */
function beside(kind: DeviceKind): Assets {
  try {
    return kind === "webgpu"
      ? { worker: new URL("./worker-webgpu.js", import.meta.url).href, wasm: new URL("./tinysam-webgpu.wasm", import.meta.url).href }
      : { worker: new URL("./worker-cpu.js", import.meta.url).href, wasm: new URL("./tinysam-cpu.wasm", import.meta.url).href };
  } catch (cause) {
    throw new TinySamError(
      "unsupported",
      `this bundle is no ES module, so tinysam does not know where it lies: build it with \`--format=esm\`, or serve node_modules/tinysam/dist/${FILES} and name their folder: \`assets: "/tinysam/"\``,
      { cause },
    );
  }
}

/** A file of Vite's cache of dependencies, which is the folder `deps` of `node_modules/.vite` or of another one. */
const IN_CACHE = /\/deps\/[^/]*$/;

/**
 * Where a file of the package is if a tool has moved the script, and not what lies beside it. Vite before 8 does: where the
 * package is installed can be guessed, mostly. And so does jsDelivr's `/+esm`, which is one file of a package.
 */
function packaged(address: string): string {
  return address
    .replace(/\/(?:node_modules\/(?:[^/?#]+\/)*?|\.[^/?#]+\/)deps\/(?=[^/?#]*(?:[?#]|$))/, "/node_modules/tinysam/dist/")
    .replace(/^(https:\/\/[a-z]+\.jsdelivr\.net\/npm\/tinysam(?:@[^/]+)?\/)(?:dist\/[^/]+\.js\/)?(?=[^/]+$)/, "$1dist/");
}
