import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "@playwright/test";
import { build, type Rolldown } from "vite";

/** What fal's door may add to an application, with fal's own client in it, after gzip. */
const DOOR = 26_000;

/** Bytes after gzip of the code with which an application starts that hands on `names` of the installed package. */
async function bundled(names: string): Promise<number> {
  const entry = "\0entry";
  const result = await build({
    root: join(process.env.TINYSAM_INSTALLED ?? "", "../.."),
    configFile: false,
    logLevel: "warn",
    build: { write: false, rolldownOptions: { input: "entry", preserveEntrySignatures: "strict" } },
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "entry" ? entry : undefined),
        load: (id) => (id === entry ? `export { ${names} } from "tinysam";` : undefined),
      },
    ],
  });
  const { output } = [result].flat()[0] as Rolldown.RolldownOutput;
  const chunks = output.filter((file) => file.type === "chunk");
  const started = new Set(chunks.filter(({ isEntry }) => isEntry));
  // A set that grows while it is walked; what is imported dynamically is loaded later, if at all.
  for (const { imports } of started) for (const chunk of chunks) if (imports.includes(chunk.fileName)) started.add(chunk);
  return [...started].reduce((sum, { code }) => sum + gzipSync(code).length, 0);
}

test("fal's door is small: the router, the fallback, and fal's own client with them", async () => {
  const engine = await bundled("TinySam");
  const both = await bundled(
    "TinySam, fal, configure, fetch, createFalClient, ApiError, ValidationError, isRetryableError, parseEndpointId, withMiddleware, withProxy",
  );
  const door = await bundled("fal");
  console.log(`after gzip: fal's door ${both - engine} bytes beside the engine's, ${door} with what of the engine's it needs`);
  expect(engine).toBeGreaterThan(4_000);
  expect(both - engine).toBeGreaterThan(10_000);
  expect(both - engine).toBeLessThanOrEqual(DOOR);
});
