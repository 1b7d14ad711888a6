export default {
  entry: "./src/main.ts",
  // Beside the page.
  output: { path: `${import.meta.dirname}/public` },
  module: { rules: [{ test: /\.ts$/, loader: "ts-loader", options: { transpileOnly: true } }] },
  resolve: { extensions: [".ts", ".js"] },
  // An engine is larger than a page.
  performance: { hints: false },
  devServer: { static: "./public", hot: false, client: { overlay: false } },
};
