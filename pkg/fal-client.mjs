// fal's client is published as CommonJS, of which a bundler takes everything, with its TypeScript beside it, in the
// source maps. The bundle is made from that: only what is called is taken, as the authors wrote it.
import { readFile } from "node:fs/promises";

/**
 * What its index exports, but for a client that it makes when it is imported, with what it finds in the environment.
 */
const INDEX = `
  export { createFalClient } from "./client";
  export { withMiddleware, withProxy } from "./middleware";
  export { ApiError, ValidationError } from "./response";
  export { isRetryableError } from "./retry";
  export { isCompletedQueueStatus, isQueueStatus } from "./types/common";
  export { parseEndpointId } from "./utils";`;

/** A plugin for esbuild. */
export const clientFromSources = {
  name: "client-from-sources",
  setup({ onLoad }) {
    onLoad({ filter: /@fal-ai[\\/]client[\\/]src[\\/]index\.js$/ }, () => ({ contents: INDEX, loader: "ts" }));
    onLoad({ filter: /@fal-ai[\\/]client[\\/]src[\\/].*\.js$/ }, async ({ path }) => {
      const { sourcesContent } = JSON.parse(await readFile(`${path}.map`, "utf8"));
      if (sourcesContent?.length !== 1) throw new Error(`${path}.map holds no source: bundle this version of the client as it is`);
      return { contents: sourcesContent[0], loader: "ts" };
    });
    // Read for the name that the client gives itself outside browsers.
    onLoad({ filter: /@fal-ai[\\/]client[\\/]package\.json$/ }, async ({ path }) => {
      const { name, version } = JSON.parse(await readFile(path, "utf8"));
      return { contents: JSON.stringify({ name, version }), loader: "json" };
    });
  },
};
