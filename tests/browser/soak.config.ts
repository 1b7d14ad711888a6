import { defineConfig } from "@playwright/test";
import base from "./playwright.config.ts";

const cpu = base.projects!.find(({ name }) => name === "cpu")!;

/** What takes too long for every run of the tests: `cargo xtask soak`. */
export default defineConfig({ ...base, timeout: 3_600_000, projects: [{ ...cpu, name: "soak", testDir: "./soak" }] });
