import resolve from "@rollup/plugin-node-resolve";
import typescript from "@rollup/plugin-typescript";
import { importMetaAssets } from "@web/rollup-plugin-import-meta-assets";

export default {
  input: "src/main.ts",
  output: { dir: "public", format: "es" },
  plugins: [resolve({ browser: true, extensions: [".ts", ".js"] }), typescript(), importMetaAssets()],
};
