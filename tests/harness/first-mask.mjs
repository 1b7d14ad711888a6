// node first-mask.mjs ADDRESS [RUNS]: how long a first visit takes to a first mask on the CPU, of the page that `cargo xtask
// demo` serves at ADDRESS: from the navigation to the frame that shows it, with nothing kept and the hosts of the official
// checkpoint silent. (Nothing is asked of them before: how fast they are makes no difference.) Then from the click on each
// other sample to the mask that shows itself there.
import { setTimeout as rest } from "node:timers/promises";
import { chromium } from "playwright-core";

const [address, runs = "5"] = process.argv.slice(2);
const HOSTS = /huggingface\.co|jsdelivr\.net|unpkg\.com/;
/** In which the second engine, which is to have the official checkpoint, has started; in milliseconds. */
const REST_MS = 3000;
const browser = await chromium.launch({
  executablePath: process.env.CHROME ?? "/usr/bin/chromium",
  headless: false,
  chromiumSandbox: false,
  args: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
});
const first = [];
const others = [];
for (let i = 0; i < Number(runs); i++) {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  await page.route(HOSTS, () => undefined);
  await page.addInitScript(() => {
    const { fill } = CanvasRenderingContext2D.prototype;
    globalThis.since = 0;
    Object.assign(CanvasRenderingContext2D.prototype, {
      fill(...args) {
        if (this.canvas.id === "canvas") globalThis.mask ??= performance.now() - globalThis.since;
        Reflect.apply(fill, this, args);
      },
    });
    addEventListener("click", () => Object.assign(globalThis, { since: performance.now(), mask: undefined }), true);
  });
  const mask = async () => (await page.waitForFunction(() => globalThis.mask, undefined, { timeout: 120_000 })).jsonValue();
  await page.goto(`${address}?device=cpu`);
  first.push(await mask());
  await rest(REST_MS);
  for (const sample of (await page.locator("#samples button").all()).slice(1)) {
    await sample.click();
    others.push(await mask());
  }
  await context.close();
}
await browser.close();
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
for (const [name, times] of [["first mask", first], ["another sample's", others]]) {
  times.sort((a, b) => a - b);
  console.log(`${name}: ${seconds(times[times.length >> 1])}, median of ${times.length} (${seconds(times[0])} to ${seconds(times.at(-1))})`);
}
