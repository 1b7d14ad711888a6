export default {
  entry: "./src/main.ts",
  // Beside the page.
  output: { path: `${import.meta.dirname}/public` },
  module: { rules: [{ test: /\.ts$/, loader: "builtin:swc-loader" }] },
  resolve: { extensions: [".ts", ".js"] },
  performance: { hints: false },
  devServer: { static: "./public", hot: false, client: { overlay: false } },
};
