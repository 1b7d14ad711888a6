import { chromium } from "@playwright/test";
import { PATIENCE, expression, type Driver } from "./driver.ts";

/** What headless Chromium needs in a container; `headless` of Playwright would ask for its own browser. */
export const launchOptions = (args: string[] = []) => ({
  executablePath: process.env.CHROME ?? "/usr/bin/chromium",
  headless: false,
  chromiumSandbox: false,
  args: ["--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", ...args],
});

/** Chromium, by Playwright. */
export async function openChromium(): Promise<Driver> {
  const browser = await chromium.launch({ ...launchOptions(), timeout: PATIENCE });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  return {
    goto: async (address) => void (await page.goto(address)),
    run: (inPage, ...args) => page.evaluate(expression(inPage, args)),
    click: (selector) => page.click(selector),
    close: () => browser.close(),
  };
}
