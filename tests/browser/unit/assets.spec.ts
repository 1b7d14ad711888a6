import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { createRequire } from "node:module";

const PACKAGE = fileURLToPath(new URL("../../../pkg/", import.meta.url));
const { transform } = createRequire(join(PACKAGE, "x.js"))("esbuild") as typeof import("../../../pkg/node_modules/esbuild");

type Assets = typeof import("../../../pkg/src/assets.ts");

/** The package's module as it stands at an address; what else it imports is of no weight here. */
async function at(address: string | undefined): Promise<Assets> {
  const source = readFileSync(join(PACKAGE, "src/assets.ts"), "utf8");
  const { code } = await transform(source, { loader: "ts", format: "cjs", define: { "import.meta.url": address === undefined ? "undefined" : JSON.stringify(address) } });
  const module = { exports: {} as Assets };
  class TinySamError extends Error {
    constructor(readonly code: string, message: string) {
      super(message);
    }
  }
  const absoluteUrl = (url: string | URL) => new URL(url, "https://page.example/app/index.html").href;
  new Function("require", "module", code)(() => ({ TinySamError, absoluteUrl }), module);
  return module.exports;
}

test("the files lie beside the script; in Vite's cache, where the package was", async () => {
  const cases = {
    "https://cdn.example/npm/tinysam@1.0.0/dist/chunk-AB.js": "https://cdn.example/npm/tinysam@1.0.0/dist/",
    "http://h/node_modules/.vite/deps/tinysam.js?v=1a2b": "http://h/node_modules/tinysam/dist/",
    "http://h/base/node_modules/.vite/deps/chunk-AB.js?v=1a2b": "http://h/base/node_modules/tinysam/dist/",
    "http://h/_nuxt/node_modules/.cache/vite/client/deps/tinysam.js": "http://h/_nuxt/node_modules/tinysam/dist/",
    "http://h/node_modules/kept/deps/tinysam.js": "http://h/node_modules/tinysam/dist/",
    "http://h/.vite/deps/tinysam.js": "http://h/node_modules/tinysam/dist/",
    "http://h/@fs/home/a/node_modules/.vite/deps/tinysam.js": "http://h/@fs/home/a/node_modules/tinysam/dist/",
    "http://h/assets/deps/tinysam.js": "http://h/assets/deps/",
    "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/+esm": "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/dist/",
    "https://cdn.jsdelivr.net/npm/tinysam/+esm": "https://cdn.jsdelivr.net/npm/tinysam/dist/",
    "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/dist/engine.js/+esm": "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/dist/",
    "https://fastly.jsdelivr.net/npm/tinysam/+esm": "https://fastly.jsdelivr.net/npm/tinysam/dist/",
    "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/dist/index.js": "https://cdn.jsdelivr.net/npm/tinysam@1.0.0/dist/",
    "http://h/node_modules/tinysam/dist/index.js": "http://h/node_modules/tinysam/dist/",
    "http://h/node_modules/deps/lib/index.js": "http://h/node_modules/deps/lib/",
  };
  for (const [address, folder] of Object.entries(cases)) {
    const { assetsOf } = await at(address);
    expect(assetsOf("cpu"), address).toEqual({ worker: `${folder}worker-cpu.js`, wasm: `${folder}tinysam-cpu.wasm` });
    expect(assetsOf("webgpu"), address).toEqual({ worker: `${folder}worker-webgpu.js`, wasm: `${folder}tinysam-webgpu.wasm` });
  }
});

test("a folder that is named is taken as the page understands it", async () => {
  const { assetsOf } = await at(undefined);
  for (const [named, folder] of [
    ["/tinysam/", "https://page.example/tinysam/"],
    ["tinysam", "https://page.example/app/tinysam/"],
    ["https://cdn.example/a/?b#c", "https://cdn.example/a/"],
    [new URL("https://cdn.example"), "https://cdn.example/"],
  ] as const) {
    expect(assetsOf("cpu", named)).toEqual({ worker: `${folder}worker-cpu.js`, wasm: `${folder}tinysam-cpu.wasm` });
  }
});

test("a bundle without an address says what to do", async () => {
  const { assetsOf } = await at(undefined);
  expect(() => assetsOf("cpu")).toThrow(expect.objectContaining({ code: "unsupported", message: expect.stringMatching(/--format=esm.*`assets: /) }));
});

test("each tool is told in its own words", async () => {
  expect((await at("http://h/cache/deps/tinysam.js?v=1")).howToServe("cpu")).toContain('optimizeDeps: { exclude: ["tinysam"] }');
  expect((await at("https://esm.sh/tinysam@1.0.0/es2022/tinysam.mjs")).howToServe("cpu")).toContain("/+esm");
  const { howToServe } = await at("http://h/main.js");
  expect(howToServe("cpu")).toMatch(/^copy node_modules\/tinysam\/dist\/.*`assets: "\/tinysam\/"`$/);
  expect(howToServe("cpu", "/a/")).toMatch(/folder that `assets` names/);
  try {
    Object.assign(globalThis, { document: { querySelector: (selector: string) => (selector === "[ng-version]" ? {} : null) } });
    expect(howToServe("cpu")).toContain("angular.json");
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});
