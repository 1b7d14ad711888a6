import { test as base } from "@playwright/test";
import { openChromium } from "../drivers/chromium.ts";
import type { Driver } from "../drivers/driver.ts";
import { openFirefox } from "../drivers/firefox.ts";
import { openWebKit } from "../drivers/webkit.ts";

export { expect } from "@playwright/test";

const OPEN = { chromium: openChromium, firefox: openFirefox, webkit: openWebKit };

export type BrowserName = keyof typeof OPEN;
/** Chromium comes first: what it finds is what the others must find. */
export const BROWSERS: readonly BrowserName[] = ["chromium", "firefox", "webkit"];

/** Gives a browser, which is started once for all tests of a file. */
export type Browsers = (name: BrowserName) => Promise<Driver>;

declare global {
  /** What apps/checks.ts puts there. */
  var checks: import("../apps/checks.ts").Checks;
  var looks: typeof import("../apps/pictures.ts");
}

export const test = base.extend<{ open: (name: BrowserName) => Promise<Driver>; address: string }, { browsers: Browsers }>({
  browsers: [
    async ({}, use) => {
      const opened = new Map<BrowserName, Promise<Driver>>();
      await use((name) => {
        const driver = opened.get(name) ?? OPEN[name]();
        opened.set(name, driver);
        return driver;
      });
      for (const driver of opened.values()) await driver.then((browser) => browser.close());
    },
    { scope: "worker" },
  ],
  address: async ({}, use) => {
    const address = process.env.TINYSAM_BASE;
    if (address === undefined) throw new Error("setup/global.ts did not run");
    await use(address);
  },
  /** A browser on the page of apps/checks.html. */
  open: async ({ browsers, address }, use) => {
    await use(async (name) => {
      const driver = await browsers(name);
      const isThere = () => driver.run(() => "checks" in globalThis);
      // With its model loaded, if another test left it there.
      if (!(await isThere())) await driver.goto(`${address}/vite/checks.html`);
      await base.expect.poll(isThere).toBe(true);
      return driver;
    });
  },
});
