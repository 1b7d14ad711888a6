import { defineConfig } from "@playwright/test";
import { launchOptions } from "./drivers/chromium.ts";

/** WebGPU on SwiftShader; without these there is no adapter, which is how "no WebGPU" is tested. */
const SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

const browser = (args: string[]) => ({
  browserName: "chromium" as const,
  launchOptions: launchOptions(args),
});

/**
 * A page has time in it (a long press, a preview, a frame), and a machine that stands still for half a second fails what is
 * right. What is wrong fails twice; what needed its second try is listed as flaky. Browsers that are held to each other
 * begin anew with a second try, which would hold one to itself: they have none.
 */
const RETRIES = 1;

export default defineConfig({
  globalSetup: "./setup/global.ts",
  outputDir: "./test-results",
  // The engine takes a core for itself; more at a time would measure each other.
  workers: 1,
  forbidOnly: true,
  timeout: 120_000,
  // How long something takes is no test here; five seconds, the default, are a long engine's call on a busy machine.
  expect: { timeout: 20_000 },
  reporter: "list",
  projects: [
    { name: "unit", testDir: "./unit" },
    { name: "cpu", testDir: "./specs", testIgnore: /webgpu/, retries: RETRIES, use: browser([]) },
    { name: "browsers", testDir: "./browsers", timeout: 600_000, expect: { timeout: 60_000 } },
    { name: "webgpu", testDir: "./specs", testMatch: /webgpu/, timeout: 600_000, retries: RETRIES, use: browser(SOFTWARE_GPU) },
  ],
});
