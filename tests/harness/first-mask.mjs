// node first-mask.mjs ADDRESS [RUNS]: how long a first visit takes to a first mask on the CPU, of the page that `cargo xtask
// demo` serves at ADDRESS: from the navigation to the frame that shows it, with nothing kept and the hosts of the official
// checkpoint silent. (Nothing is asked of them before: how fast they are makes no difference.)
import { chromium } from "playwright-core";

const [address, runs = "5"] = process.argv.slice(2);
const HOSTS = /huggingface\.co|jsdelivr\.net|unpkg\.com/;
const browser = await chromium.launch({
  executablePath: process.env.CHROME ?? "/usr/bin/chromium",
  headless: false,
  chromiumSandbox: false,
  args: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
});
const times = [];
for (let i = 0; i < Number(runs); i++) {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  await page.route(HOSTS, () => undefined);
  await page.addInitScript(() => {
    const { fill } = CanvasRenderingContext2D.prototype;
    Object.assign(CanvasRenderingContext2D.prototype, {
      fill(...args) {
        if (this.canvas.id === "canvas") globalThis.firstMask ??= performance.now();
        Reflect.apply(fill, this, args);
      },
    });
  });
  await page.goto(`${address}?device=cpu`);
  times.push(await (await page.waitForFunction(() => globalThis.firstMask, undefined, { timeout: 120_000 })).jsonValue());
  await context.close();
}
await browser.close();
times.sort((a, b) => a - b);
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
console.log(`first mask: ${seconds(times[times.length >> 1])}, median of ${times.length} (${seconds(times[0])} to ${seconds(times.at(-1))})`);
