import { defineConfig } from "@playwright/test";

const CHROME = process.env.CHROME ?? "/usr/bin/chromium";
/** What headless Chromium needs in a container; `headless` of Playwright would ask for its own browser. */
const COMMON = ["--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars"];
/** WebGPU on SwiftShader; without these there is no adapter, which is how "no WebGPU" is tested. */
const SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

const browser = (args: string[]) => ({
  browserName: "chromium" as const,
  launchOptions: { executablePath: CHROME, headless: false, chromiumSandbox: false, args: [...COMMON, ...args] },
});

export default defineConfig({
  globalSetup: "./setup/global.ts",
  outputDir: "./test-results",
  // The engine takes a core for itself; more at a time would measure each other.
  workers: 1,
  retries: 0,
  forbidOnly: true,
  timeout: 120_000,
  reporter: "list",
  projects: [
    { name: "unit", testDir: "./unit" },
    { name: "cpu", testDir: "./specs", testIgnore: /webgpu/, use: browser([]) },
    { name: "webgpu", testDir: "./specs", testMatch: /webgpu/, timeout: 600_000, use: browser(SOFTWARE_GPU) },
  ],
});
