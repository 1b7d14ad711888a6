import { readFileSync } from "node:fs";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, copied, dragPhoto, everything, openPage, openTab, score } from "../page.ts";

const WEIGHTS = "weights=../models/formula.safetensors";

test("a link holds photo, marks, checkpoint and size, and shows the same masks", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openPage(page, address, 64);
  await page.locator("#samples button").nth(1).click();
  await expect(page.locator("#samples button").nth(1)).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#busy")).toBeHidden();
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible();
  await clickPhoto(page, 0.3, 0.6, { button: "right" });
  await expect(page.locator("#fal-code")).toContainText("point_label: [1, 0]");
  const facts = () => page.locator("#mask-facts").innerText();
  await expect(page.locator("#busy")).toBeHidden();
  const code = await page.locator("#fal-code").textContent();
  const link = await copied(page, "#copy-link");
  expect(link).toMatch(/\/page\/#photo=chelsea\.png&points=[\d.]+,[\d.]+,1;[\d.]+,[\d.]+,0&weights=\.\.\/models\/formula\.safetensors&size=64$/);
  await expect.poll(facts).not.toBe("");
  const shown = await facts();

  // Of another tab: there is nothing but the link.
  await page.goto("about:blank");
  await page.goto(`${link}&device=cpu`);
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
  await expect.poll(facts).toBe(shown);
  await expect(page.locator("#fal-code")).toHaveText(code!);
  await expect(page.locator("#samples button").nth(1)).toHaveAttribute("aria-pressed", "true");
  expect(await copied(page, "#copy-link")).toBe(link);

  // Opened in the same tab it is another page, too. Boxes, and what is none.
  await page.evaluate((hash) => (location.hash = hash), `photo=coffee.png&boxes=10,20,200,100;50,60,300,200;oh,1,2,3;4,5&${WEIGHTS}&device=cpu&size=64`);
  await expect(page.locator("#mask-list button")).toHaveCount(2, { timeout: 60_000 });
  await expect(page.locator("#fal-code")).toHaveText(/box_prompt: \[\[10, 20, 200, 100\], \[50, 60, 300, 200\]\]/);

  // Everything.
  await page.locator("#clear").click();
  await everything(page);
  await expect(page.locator("#announce")).toHaveText(/^\d+ masks found\.$/, { timeout: 60_000 });
  const count = await page.locator("#mask-list button").count();
  const all = await copied(page, "#copy-link");
  expect(all).toContain("&everything=8,0,0,1&");
  await page.goto("about:blank");
  await page.goto(`${all}&device=cpu`);
  await expect(page.locator("#announce")).toHaveText(/^\d+ masks found\.$/, { timeout: 60_000 });
  await expect(page.locator("#mask-list button")).toHaveCount(count);
});

test("a photo by its address is in the link, one of the user's own is not, nor is a checkpoint of theirs", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const cat = readFileSync("../../www/public/photos/chelsea.png");
  const asked: string[] = [];
  await page.route("https://photos.example/**", (route) => {
    asked.push(route.request().url());
    return route.fulfill({ body: cat, contentType: "image/png", headers: { "access-control-allow-origin": "*" } });
  });
  const photo = "https://photos.example/a%20cat.png?large=1&x=2#part";
  await page.goto(`${address}/page/#photo=${encodeURIComponent(photo)}&points=100,100,1&${WEIGHTS}&device=cpu&size=64`);
  await expect(score(page)).toBeVisible({ timeout: 60_000 });
  expect(new URLSearchParams(new URL(await copied(page, "#copy-link")).hash.slice(1)).get("photo")).toBe(photo);
  expect(asked).toEqual([photo.replace("#part", "")]);

  // The marks are that photo's alone.
  await page.locator("#samples button").first().click();
  await expect(page.locator("#samples button").first()).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#fal-code")).not.toContainText("point_prompt");
  await openTab(page, "Model");
  const formula = await (await fetch(`${address}/models/formula.safetensors`)).arrayBuffer();
  await page.locator("#checkpoint-file").setInputFiles({ name: "mine.safetensors", mimeType: "", buffer: Buffer.from(formula) });
  await expect(page.locator("#status")).toContainText("mine.safetensors", { timeout: 60_000 });
  expect(await copied(page, "#copy-link")).toMatch(/#photo=coffee\.png&size=64$/);
  await expect(page.locator("#toast")).toHaveText("The link is in the clipboard, without the checkpoint, which is a file of yours.");

  await page.locator("#photo-file").setInputFiles({ name: "mine.png", mimeType: "image/png", buffer: cat });
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await page.locator("#copy-link").click();
  await expect(page.locator("#toast")).toHaveText("A photo of your own stays on this machine: no link can show it.");
});

test("a cut-out goes to the system's own sheet, where there is one", async ({ page, address }) => {
  await page.addInitScript(() => {
    const shared: { name: string; type: string; head: number[] }[] = [];
    Object.assign(globalThis, { shared });
    Object.assign(navigator, {
      canShare: ({ files }: { files: File[] }) => files.every(({ type }) => type === "image/png"),
      share: async ({ files }: { files: File[] }) => {
        if (shared.length > 0) throw new DOMException("closed", "AbortError");
        for (const file of files) shared.push({ name: file.name, type: file.type, head: [...new Uint8Array(await file.slice(0, 4).arrayBuffer())] });
      },
    });
  });
  await openPage(page, address, 64);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await page.locator("#share-cutout").click();
  await expect
    .poll(() => page.evaluate(() => (globalThis as unknown as { shared: object[] }).shared))
    .toEqual([{ name: "A cup of coffee.png", type: "image/png", head: [0x89, 0x50, 0x4e, 0x47] }]);
  // Closing the sheet is no error. Of several masks, too.
  await dragPhoto(page, [0.1, 0.2], [0.4, 0.5]);
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(page.locator("#mask-list button")).toHaveCount(2);
  await page.locator("#share-cutout").click();
  await expect(page.locator("#alert")).toBeHidden();
});

test("the way from the page to the package, and its card", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openPage(page, address, 64);
  await expect(page.locator("#share-cutout")).toBeHidden();
  const { repository } = JSON.parse(readFileSync("../../pkg/package.json", "utf8"));
  const source = repository.url.replace(/^git\+|\.git$/g, "");
  const links = await page.locator("a").evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
  for (const wanted of ["https://www.npmjs.com/package/tinysam", source, "https://arxiv.org/abs/2312.13789", `${source}/blob/main/LICENSE-MIT`]) expect(links).toContain(wanted);
  expect(await copied(page, "#copy-install")).toBe("npm install tinysam");

  const card = await page.locator('meta[property="og:image"]').getAttribute("content");
  expect(card).toMatch(/^https:\/\/[^/]+\.github\.io\/tinysam\/card\.jpg$/);
  // That file is beside the page, and has the sides that are told.
  const sides = await page.evaluate(async () => {
    const bitmap = await createImageBitmap(await (await fetch("./card.jpg")).blob());
    return [bitmap.width, bitmap.height].map(String);
  });
  for (const [i, side] of ["width", "height"].entries()) expect(await page.locator(`meta[property="og:image:${side}"]`).getAttribute("content")).toBe(sides[i]);
});
