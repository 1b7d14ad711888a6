import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const PUBLIC = join(import.meta.dirname, "public");

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

/** The project's addresses, from the package's manifest, which alone names its repository: GitHub Pages serve the page. */
function addresses(): Plugin {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "../pkg/package.json"), "utf8"));
  const url = (manifest as { repository: { url: string } }).repository.url;
  const [, owner, name] = /^git\+https:\/\/github\.com\/([^/]+)\/([^/]+)\.git$/.exec(url) ?? [];
  if (owner === undefined || name === undefined) throw new Error(`pkg/package.json: ${url} is no repository on GitHub`);
  const page = `https://${owner.toLowerCase()}.github.io/${name}/`;
  return {
    name: "addresses",
    transformIndexHtml: {
      order: "pre",
      handler: (html) => html.replaceAll("%REPOSITORY%", `https://github.com/${owner}/${name}`).replaceAll("%PAGE%", page),
    },
  };
}

/** The samples that a checkpoint has encoded, of those in public/photos/encoded; src/segment/saved.rs has their format. */
function encodedBy(sha256: string): { photo: string; address: string; size: number }[] {
  return readdirSync(join(PUBLIC, "photos/encoded")).flatMap((name) => {
    const bytes = readFileSync(join(PUBLIC, "photos/encoded", name));
    if (bytes.toString("latin1", 44, 108) !== sha256) return [];
    return { photo: name.replace(/\.tinysam$/, ""), address: `./photos/encoded/${name}`, size: bytes.readUInt32LE(16) };
  });
}

/**
 * Lists public/models/ in models/index.json, with hashes, and with the samples that each has encoded: a page cannot list a
 * folder, nor ask for a file that may be missing.
 */
function models(): Plugin {
  const folder = join(PUBLIC, "models");
  const entry = (name: string) => {
    const sha256 = createHash("sha256").update(readFileSync(join(folder, name))).digest("hex");
    return { name, sha256, encoded: encodedBy(sha256) };
  };
  const list = () => JSON.stringify(readdirSync(folder).filter((name) => /\.(safetensors|pth|pt)$/.test(name)).sort().map(entry));
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
          const device = /(?:[\\/]dist[\\/]|worker-|tinysam-)(cpu|webgpu)/.exec(`${origin} ${name}`)?.[1];
          files[device === "cpu" || device === "webgpu" ? device : "page"].push(name);
        }
        const photos = readdirSync(join(PUBLIC, "photos"), { recursive: true, encoding: "utf8" }).filter((name) => /\.(jpg|png|tinysam)$/.test(name));
        for (const name of ["icon.svg", ...photos.map((photo) => `photos/${photo.replaceAll("\\", "/")}`)]) {
          version.update(readFileSync(join(PUBLIC, name)));
          // Samples that are encoded are for one checkpoint: they are kept when they have been asked for.
          if (!name.endsWith(".tinysam")) files.page.push(name);
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
  plugins: [policy(), addresses(), models(), offline()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // As a user of the package would: its worker and modules are found beside it, not in Vite's cache.
  optimizeDeps: { exclude: ["tinysam"] },
});
