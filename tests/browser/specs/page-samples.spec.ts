import { readFileSync } from "node:fs";
import type { Page, Route } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, saved, score } from "../page.ts";

// Samples come with what the small checkpoint makes of them: `cargo xtask samples`.

// One would answer with what it has kept.
test.use({ serviceWorkers: "block" });

const SMALL = "#weights=./models/tinysam-photos.safetensors&device=cpu";
const ENCODED = "**/photos/encoded/*";
const encoded = (name: string) => readFileSync(`../../www/public/photos/encoded/${name}.tinysam`);

/** What was asked for of the embeddings beside the page. */
function watchEncoded(page: Page): string[] {
  const asked: string[] = [];
  page.on("request", (request) => request.url().includes("/encoded/") && asked.push(request.url().split("/").at(-1)!));
  return asked;
}

/** The score of a click on the cat, as the page shows it, once its photo is there by this way. */
async function scoreOfCat(page: Page, way: RegExp): Promise<number> {
  await page.locator("#samples button").nth(1).click();
  await expect(page.locator("#samples button").nth(1)).toHaveAttribute("aria-pressed", "true");
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible({ timeout: 60_000 });
  // Not before: until then it is the last photo's.
  await expect(page.locator("#status")).toContainText(way);
  return Number(await score(page).textContent());
}

test("all samples are shipped as the small checkpoint encodes them at its own side", async ({ address }) => {
  const list = (await (await fetch(`${address}/page/models/index.json`)).json()) as { encoded: { photo: string; size: number }[] }[];
  const files = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"];
  // Those that are another checkpoint's are not in the list: run `cargo xtask samples` after a change of it.
  expect(list[0]?.encoded.map(({ photo, size }) => [photo, size])).toEqual(files.map((file) => [file, 320]));
});

test("a sample is not encoded where what its checkpoint made of it lies beside the page, and its masks are the same", async ({ page, address }) => {
  const asked = watchEncoded(page);
  await page.goto(`${address}/page/${SMALL}`);
  await expect(page.locator("#status")).toContainText("size 320 · encoded beforehand", { timeout: 60_000 });
  await expect(page.locator("#machine-facts")).toContainText("none: this sample comes encoded");
  const beforehand = await scoreOfCat(page, /encoded beforehand/);
  // Cut out of the photo itself.
  expect((await saved(page, "#save-cutout")).bytes.readUInt32BE(16)).toBe(451);
  // Once each, and only those that were chosen.
  await page.locator("#samples button").first().click();
  await expect(page.locator("#samples button").first()).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#status")).toContainText("encoded beforehand");
  expect(asked).toEqual(["coffee.png.tinysam", "chelsea.png.tinysam"]);

  await page.goto("about:blank");
  await page.route(ENCODED, (route) => route.fulfill({ body: encoded("astronaut.png") }));
  await page.goto(`${address}/page/${SMALL}`);
  expect(Math.abs((await scoreOfCat(page, / encode \d/)) - beforehand)).toBeLessThan(0.005);
});

test("what does not fit, is damaged, late or not there is not missed", async ({ page, address, errors }) => {
  errors.expectError(/404|ERR_FAILED/);
  const damaged = encoded("chelsea.png");
  damaged[5000]! ^= 1;
  const formula = Buffer.from(encoded("chelsea.png"));
  formula.write("0".repeat(64), 44, "latin1");
  const faults: Record<string, (route: Route) => unknown> = {
    "another photo's": (route) => route.fulfill({ body: encoded("coffee.png") }),
    damaged: (route) => route.fulfill({ body: damaged }),
    "another checkpoint's": (route) => route.fulfill({ body: formula }),
    "a page": (route) => route.fulfill({ body: "<!doctype html>", contentType: "text/html" }),
    "not there": (route) => route.fulfill({ status: 404 }),
    forbidden: (route) => route.abort(),
    late: () => undefined,
  };
  for (const [fault, answer] of Object.entries(faults)) {
    await page.goto("about:blank");
    await page.unroute(ENCODED);
    await page.route(ENCODED, answer);
    await page.goto(`${address}/page/${SMALL}`);
    expect(await scoreOfCat(page, / encode \d/), fault).toBeGreaterThan(0);
    await expect(page.locator("#alert"), fault).toBeHidden();
  }
});

test("nobody who has another checkpoint or side asks for what the small one made", async ({ page, address }) => {
  const asked = watchEncoded(page);
  await openPage(page, address, 320);
  await scoreOfCat(page, / encode \d/);
  await page.goto("about:blank");
  await page.goto(`${address}/page/${SMALL}&size=64`);
  await scoreOfCat(page, /size 64 · encode \d/);
  expect(asked).toEqual([]);
});
