// node screenshot.mjs ADDRESS: the README's picture, www/screenshot.png, and the card that is shown where a link to the page
// is posted, www/public/card.jpg, of the page that `cargo xtask demo` serves at ADDRESS: a box around the cup, with the
// checkpoint beside the page.
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [address] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROME ?? "/usr/bin/chromium",
  headless: false,
  chromiumSandbox: false,
  args: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"],
});
const page = await browser.newPage();
for (const [name, width, height] of [["screenshot.png", 1280, 780], ["public/card.jpg", 1200, 630]]) {
  await page.setViewportSize({ width, height });
  await page.goto("about:blank");
  await page.goto(`${address}#photo=coffee.png&boxes=171,17,258,289&weights=./models/tinysam-photos.safetensors`);
  await page.locator("#mask-facts").waitFor({ state: "visible", timeout: 120_000 });
  await page.screenshot({ path: fileURLToPath(new URL(`../../www/${name}`, import.meta.url)) });
}
await browser.close();
