import { test as base, expect, type Page } from "@playwright/test";

declare global {
  /** What the applications of setup/apps.ts put there. */
  var tinysam: typeof import("tinysam");
  /** fal's own client, in the applications that a bundler made. */
  var official: import("tinysam").FalClient & { config(config: object): void };
}

export { expect };

/** The console's errors of a test. Any that a test did not announce fails it. */
export interface Console {
  /** This test provokes errors: messages that match are not held against it. */
  expectError(pattern: RegExp): void;
}

/** An application with the package, on the CPU unless the test says otherwise. */
export interface App {
  /** Opens the application that a bundler made, or the one without a bundler. */
  open(kind?: "vite" | "webpack" | "esbuild" | "bare"): Promise<Page>;
}

export const test = base.extend<{ errors: Console; app: App; address: string }>({
  address: async ({}, use) => {
    const address = process.env.TINYSAM_BASE;
    if (address === undefined) throw new Error("setup/global.ts did not run");
    await use(address);
  },

  errors: [
    async ({ page }, use) => {
      const seen: string[] = [];
      const announced: RegExp[] = [];
      page.on("console", (message) => {
        if (message.type() === "error") seen.push(message.text());
      });
      page.on("pageerror", (error) => seen.push(`uncaught: ${error.message}`));
      page.on("worker", (worker) => {
        worker.on("console", (message) => {
          if (message.type() === "error") seen.push(message.text());
        });
      });
      await use({ expectError: (pattern) => announced.push(pattern) });
      expect(seen.filter((text) => !announced.some((pattern) => pattern.test(text)))).toEqual([]);
    },
    { auto: true },
  ],

  app: async ({ page, address }, use) => {
    await use({
      open: async (kind = "vite") => {
        await page.goto(`${address}/${kind}/`);
        await page.waitForFunction(() => "tinysam" in globalThis);
        return page;
      },
    });
  },
});
