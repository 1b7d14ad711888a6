import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

/**
 * What this page allows itself, and so what a page with tinysam needs at least: WebAssembly and a worker from
 * its own host. `connect-src https:` is for weights and photos from anywhere. Only in the built page: Vite's
 * development server injects styles.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' https: blob: data:",
  "img-src 'self' https: blob: data:",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

function policy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
    ],
  };
}

/** Lists public/models/ in models/index.json: a page cannot list a folder, nor ask for a file that may be missing. */
function models(): Plugin {
  const list = () =>
    JSON.stringify(readdirSync(join(import.meta.dirname, "public/models")).filter((name) => /\.(safetensors|pth|pt)$/.test(name)).sort());
  return {
    name: "model-list",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "models/index.json", source: list() });
    },
    configureServer(server) {
      server.middlewares.use("/models/index.json", (_request, response) => {
        response.setHeader("content-type", "application/json").end(list());
      });
    },
  };
}

/** Fills the list of the page's files into the service worker, which stands beside the page: that is its scope. */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "chunk", id: join(import.meta.dirname, "offline/service-worker.ts"), fileName: "sw.js" });
    },
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const files: Record<"page" | "cpu" | "webgpu", string[]> = { page: ["./", "models/index.json"], cpu: [], webgpu: [] };
        const version = createHash("sha256");
        for (const [name, file] of Object.entries(bundle)) {
          if (!name.startsWith("assets/")) continue;
          const origin = file.type === "asset" ? file.originalFileNames.join() : Object.keys(file.modules).join();
          const device = /(?:[\\/]dist[\\/]|worker-)(cpu|webgpu)/.exec(`${origin} ${name}`)?.[1];
          files[device === "cpu" || device === "webgpu" ? device : "page"].push(name);
        }
        const root = join(import.meta.dirname, "public");
        for (const name of ["icon.svg", ...readdirSync(join(root, "photos")).filter((photo) => !photo.endsWith(".md")).map((photo) => `photos/${photo}`)]) {
          version.update(readFileSync(join(root, name)));
          files.page.push(name);
        }
        const code = bundle["sw.js"];
        if (code?.type !== "chunk") throw new Error("the service worker was not built");
        version.update(JSON.stringify(files));
        code.code = code.code.replace(/\bVERSION\b/g, JSON.stringify(version.digest("hex").slice(0, 16))).replace(/\bFILES\b/g, `(${JSON.stringify(files)})`);
      },
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [policy(), models(), offline()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // As a user of the package would: its worker and modules are found beside it, not in Vite's cache.
  optimizeDeps: { exclude: ["tinysam"] },
});
