import { defineConfig } from "@playwright/test";
import base from "./playwright.config.ts";

/** The package in everything that people build with: `cargo xtask consumers`. Takes too long for every run of the tests. */
export default defineConfig({
  ...base,
  globalSetup: "./consumers/setup.ts",
  timeout: 1_800_000,
  retries: 0,
  projects: [{ name: "consumers", testDir: "./consumers", use: base.projects![1]!.use! }],
});
