import { launch } from "puppeteer-core";
import { PATIENCE, expression, type Driver } from "./driver.ts";

/** Firefox, by Puppeteer: it speaks WebDriver BiDi with the releases that distributions have, and needs no geckodriver. */
export async function openFirefox(): Promise<Driver> {
  const executablePath = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
  const browser = await launch({ browser: "firefox", executablePath, headless: true, timeout: PATIENCE, protocolTimeout: PATIENCE });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  return {
    goto: async (address) => void (await page.goto(address)),
    run: (inPage, ...args) => page.evaluate(expression(inPage, args)) as Promise<never>,
    click: (selector) => page.click(selector),
    close: () => browser.close(),
  };
}
