import { readdirSync } from "node:fs";
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

export default defineConfig({
  base: "./",
  plugins: [policy(), models()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // As a user of the package would: its worker and modules are found beside it, not in Vite's cache.
  optimizeDeps: { exclude: ["tinysam"] },
});
