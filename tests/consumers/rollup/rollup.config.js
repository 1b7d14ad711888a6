import resolve from "@rollup/plugin-node-resolve";
import typescript from "@rollup/plugin-typescript";

export default {
  input: "src/main.ts",
  output: { dir: "public", format: "es" },
  plugins: [resolve({ browser: true, extensions: [".ts", ".js"] }), typescript()],
};
