// fal's client comes as CommonJS, of which a bundler takes everything. Here it is read as the modules that TypeScript
// made it from, so that only what is called is taken: 3 kB less after gzip. Nothing else of it is changed.
import { readFile } from "node:fs/promises";

/** A plugin for esbuild. */
export const clientAsModules = {
  name: "client-as-modules",
  setup({ initialOptions, onLoad }) {
    // What were missed below ends the build.
    initialOptions.logOverride = { "import-is-undefined": "error" };
    // Its own index makes a client when it is imported, and hands on what nothing here calls.
    onLoad({ filter: /@fal-ai[\\/]client[\\/]src[\\/]index\.js$/ }, () => ({
      contents: 'export { createFalClient } from "./client.js"; export { ApiError, ValidationError } from "./response.js";',
    }));
    onLoad({ filter: /@fal-ai[\\/]client[\\/]src[\\/]\w+\.js$/ }, async ({ path }) => ({ contents: asModule(await readFile(path, "utf8")) }));
    // Read for the name that the client gives itself outside browsers.
    onLoad({ filter: /@fal-ai[\\/]client[\\/]package\.json$/ }, async ({ path }) => {
      const { name, version } = JSON.parse(await readFile(path, "utf8"));
      return { contents: JSON.stringify({ name, version }), loader: "json" };
    });
  },
};

/** Undoes what TypeScript writes for `import` and `export`. */
function asModule(commonJs) {
  return commonJs
    .replace(/^var __awaiter = [^]*?\n\};\n/m, 'import { __awaiter } from "tslib/tslib.es6.mjs";\n') // stands in every file
    .replace(/^Object\.defineProperty\(exports, "__esModule".*\n/m, "")
    .replace(/^(exports\.\w+ = )+void 0;\n/m, "")
    .replace(/^const (\w+) = require\((".*")\);$/gm, "import * as $1 from $2;")
    .replace(/^exports\.(\w+) = \1;$/gm, "export { $1 };")
    .replace(/^exports\.(\w+) = /gm, "export const $1 = ")
    .replace(/\bexports\.(\w+)/g, "$1");
}
