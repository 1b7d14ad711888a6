import { createHash } from "node:crypto";
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openTab, score } from "../page.ts";

// A first visit, at which nothing is kept: the small checkpoint beside the page comes first, the official one behind it.

const HUB = "https://huggingface.co/**";
const MIRRORS = [HUB, "https://cdn.jsdelivr.net/**", "https://unpkg.com/**"];
// One would answer with the page's own files in place of the changed ones.
test.use({ serviceWorkers: "block" });

const ORDINARY = "A small checkpoint to begin with: TinySAM’s own weights, 40.7 MB, come behind it.";

/** The preview that comes by itself is on the canvas: notes when, and what had been asked for until then. */
async function watchRequests(page: Page): Promise<string[]> {
  const asked: string[] = [];
  page.context().on("request", (request) => asked.push(request.url()));
  return asked;
}

/** The page with the formula checkpoint in the place of the official one, which no test machine has. */
async function standIn(page: Page, address: string): Promise<Buffer> {
  const formula = Buffer.from(await (await fetch(`${address}/models/formula.safetensors`)).arrayBuffer());
  const hash = createHash("sha256").update(formula).digest("hex");
  await page.route(/\/page\/assets\/[^/]*\.js$/, async (route) => {
    const code = await (await route.fetch()).text();
    await route.fulfill({ body: code.replaceAll("4b8edcf93af46e2a658ae455574de62873778a5cc3fd8e8adf094dcdfa957cf2", hash), contentType: "text/javascript" });
  });
  return formula;
}

const official = (body: Buffer) => ({ body, headers: { "access-control-allow-origin": "*" } });

test("a first mask comes by itself of what is beside the page, while the hub is silent, and nothing more is waited for", async ({ page, address, errors }) => {
  errors.expectError(/ERR_/);
  const asked = await watchRequests(page);
  for (const mirror of MIRRORS) await page.route(mirror, (route) => (mirror === HUB ? undefined : route.abort()));
  await page.addInitScript(() => {
    const { fill } = CanvasRenderingContext2D.prototype;
    // The first mask that is drawn on the photo.
    Object.assign(CanvasRenderingContext2D.prototype, {
      fill(this: CanvasRenderingContext2D, ...args: unknown[]) {
        if (this.canvas.id === "canvas") Object.assign(globalThis, { drawn: true });
        Reflect.apply(fill, this, args);
      },
    });
  });
  await page.goto(`${address}/page/?device=cpu`);
  await page.waitForFunction(() => "drawn" in globalThis, undefined, { timeout: 60_000 });
  const count = (part: string) => asked.filter((url) => url.includes(part)).length;
  // One photo with its embedding, and small pictures of the others; one engine, one checkpoint.
  const photos = [count("photos/small/"), count("photos/encoded/"), count("/photos/")];
  expect([count(".safetensors"), count(".wasm"), ...photos, count("huggingface")]).toEqual([1, 1, 4, 1, 6, 0]);
  await expect(page.locator("#status")).toContainText("tinysam-photos.safetensors (for trying the page only) · CPU · size 320 · encoded beforehand");

  // The size is said before a byte of it has come.
  await expect(page.locator("#toast")).toHaveText(ORDINARY);
  await expect(page.locator("#behind")).toContainText("TinySAM’s own weights, 40.7 MB");
  await expect(page.locator("#busy")).toBeHidden();
  // The keys are said beside it.
  await page.locator("#canvas").press("ArrowLeft");
  const [keys, behind] = await Promise.all([".keys", "#behind"].map((words) => page.locator(words).boundingBox()));
  expect(keys!.y + keys!.height).toBeLessThan(behind!.y);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  // Ten seconds of silence are enough of each address.
  await expect(page.locator("#toast")).toHaveText("TinySAM’s own weights cannot be reached from here: the one beside the page stays.", { timeout: 30_000 });
  expect([count("huggingface.co"), count("jsdelivr"), count("unpkg")]).toEqual([1, 1, 1]);
  await expect(page.locator("#behind")).toBeHidden();
  await expect(page.locator("#alert")).toBeHidden();
  await expect(score(page)).toBeVisible();

  // Asked for by name it cannot be had, either; what works goes on.
  await page.unroute(HUB);
  await page.route(HUB, (route) => route.abort());
  await openTab(page, "Model");
  await page.locator("#checkpoint").selectOption("TinySAM, official");
  await expect(page.locator("#error")).toHaveAttribute("data-code", "checkpoint_unreachable");
  await expect(page.locator("#error")).toContainText("None of 3 addresses has the weights");
  await expect(page.locator("#checkpoint")).toHaveValue("tinysam-photos.safetensors");
  await page.locator("#error-close").click();
  await openTab(page, "Masks");
  await clickPhoto(page, 0.4, 0.5);
  await expect(page.locator("#fal-code")).toContainText("point_label: [1, 1]");
  await expect(page.locator("#alert")).toBeHidden();
});

test("the official checkpoint takes the place of the small one, with a line, and not of work that would be lost", async ({ page, address, errors }) => {
  errors.expectError(/404/);
  const formula = await standIn(page, address);
  const asked = await watchRequests(page);
  await page.route(HUB, (route) => route.fulfill({ status: 404, headers: { "access-control-allow-origin": "*" } }));
  await page.route(MIRRORS[1]!, (route) => route.fulfill(official(formula)));
  // The masks of a run would be lost.
  await page.goto(`${address}/page/?device=cpu&size=64#everything=8,0,0,1`);
  await expect(page.locator("#behind")).toBeVisible({ timeout: 60_000 });
  await expect(page.locator("#behind")).toBeHidden({ timeout: 60_000 });
  await expect(page.locator("#busy")).toBeHidden({ timeout: 60_000 });
  await expect.poll(() => page.locator("#mask-list button").count(), { timeout: 60_000 }).toBeGreaterThan(1);
  await expect(page.locator("#status")).toContainText("tinysam-photos.safetensors");
  await page.locator("#clear").click();
  await expect(page.locator("#toast")).toHaveText("TinySAM’s own weights have taken the place of the small checkpoint.", { timeout: 60_000 });
  await expect(page.locator("#status")).toContainText(/^TinySAM, official · CPU · size 64 · encode/);
  await expect(page.locator("#checkpoint")).toHaveValue("TinySAM, official");
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  expect(asked.filter((url) => url.includes("unpkg"))).toEqual([]);

  // The next visit begins with it.
  asked.length = 0;
  await page.reload();
  await expect(page.locator("#status")).toContainText(/^TinySAM, official · CPU · size 64 · encode/, { timeout: 60_000 });
  expect(asked.filter((url) => /safetensors|huggingface|jsdelivr/.test(url))).toEqual([]);
});

test("marks are asked of the one that takes the place; its download can be stopped", async ({ page, address }) => {
  const formula = await standIn(page, address);
  await page.route(HUB, (route) => route.fulfill(official(formula)));
  await page.addInitScript(() => {
    const facts = new Set<string>();
    Object.assign(globalThis, { facts });
    addEventListener("DOMContentLoaded", () => {
      const list = document.getElementById("mask-facts")!;
      new MutationObserver(() => facts.add(list.textContent ?? "")).observe(list, { childList: true });
    });
  });
  await page.goto(`${address}/page/?device=cpu&size=64#points=300,200,1`);
  await expect(page.locator("#status")).toContainText(/^TinySAM, official · CPU · size 64 · encode/, { timeout: 60_000 });
  // Of the small one, and of the one that took its place.
  await expect.poll(() => page.evaluate(() => (globalThis as unknown as { facts: Set<string> }).facts.size)).toBe(2);
  await expect(score(page)).toBeVisible();
  await expect(page.locator("#fal-code")).toContainText("point_prompt: [[300, 200]]");

  await page.evaluate(async () => {
    for (const name of await caches.keys()) await caches.delete(name);
  });
  await page.unroute(HUB);
  await page.route(HUB, () => undefined);
  await page.reload();
  await page.locator("#behind-stop").click({ timeout: 60_000 });
  await expect(page.locator("#behind")).toBeHidden();
  await expect(page.locator("#toast")).toContainText("under “Model”");
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await expect(page.locator("#alert")).toBeHidden();
});

/** Opens the page, with the official checkpoint on its way behind the small one; it comes when what is returned is called. */
async function openOnItsWay(page: Page, address: string): Promise<() => void> {
  const formula = await standIn(page, address);
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  await page.route(HUB, async (route) => {
    await opened;
    await route.fulfill(official(formula)).catch(() => undefined);
  });
  await page.goto(`${address}/page/?device=cpu&size=64`);
  await expect(page.locator("#behind")).toBeVisible({ timeout: 60_000 });
  return open;
}

test("another device for the small one leaves the official one on its way", async ({ page, address }) => {
  const open = await openOnItsWay(page, address);
  await openTab(page, "Model");
  await page.locator("#device").selectOption("auto");
  await expect(page.locator("#machine-facts")).toContainText("so the CPU is used", { timeout: 60_000 });
  await expect(page.locator("#behind")).toBeVisible({ timeout: 60_000 });
  open();
  await expect(page.locator("#status")).toContainText(/^TinySAM, official · CPU · size 64 · encode/, { timeout: 60_000 });
});

test("a choice that fails leaves the official one on its way", async ({ page, address }) => {
  const open = await openOnItsWay(page, address);
  await page.locator("#checkpoint-file").setInputFiles({ name: "none.safetensors", mimeType: "", buffer: Buffer.from("none") });
  await expect(page.locator("#alert")).toBeVisible({ timeout: 60_000 });
  await expect(page.locator("#behind")).toBeVisible();
  open();
  await expect(page.locator("#status")).toContainText(/^TinySAM, official · CPU · size 64 · encode/, { timeout: 60_000 });
});

test("where the browser saves data nothing but the small checkpoint is downloaded", async ({ page, address }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "connection", { value: { saveData: true }, configurable: true }));
  const asked = await watchRequests(page);
  await page.goto(`${address}/page/?device=cpu&size=64`);
  await expect(page.locator("#toast")).toHaveText("A small checkpoint, as the browser saves data: TinySAM’s own (40.7 MB) is under “Model”.", { timeout: 60_000 });
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await expect(page.locator("#behind")).toBeHidden();
  expect(asked.filter((url) => !url.startsWith(address) && !/^(blob|data):/.test(url))).toEqual([]);
});
