// node screenshot.mjs ADDRESS OUT: the README's picture, of the page that `cargo xtask demo` serves at ADDRESS: a box
// around the cup, with the checkpoint beside the page.
import { chromium } from "playwright-core";

const [address, out] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROME ?? "/usr/bin/chromium",
  headless: false,
  chromiumSandbox: false,
  args: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 780 } });
await page.goto(`${address}?weights=./models/tinysam-synthetic.safetensors`);
await page.locator("#busy").waitFor({ state: "visible" }).catch(() => {});
await page.locator("#busy").waitFor({ state: "hidden", timeout: 120_000 });
const { x, y, width, height } = await page.locator("#canvas").boundingBox();
await page.mouse.move(x + 0.285 * width, y + 0.065 * height);
await page.mouse.down();
await page.mouse.move(x + 0.69 * width, y + 0.65 * height, { steps: 5 });
await page.mouse.up();
await page.locator("#mask-facts").waitFor({ state: "visible" });
await page.screenshot({ path: out });
await browser.close();
