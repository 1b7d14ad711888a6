import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, openTab, score } from "../page.ts";
import { serve } from "../setup/serve.ts";

/** The page's own files that are kept: the versions, and what each has of a kind. */
async function kept(page: Page, ending: string): Promise<string[]> {
  return page.evaluate(async (ending) => {
    const names = (await caches.keys()).filter((name) => name.startsWith("tinysam-page-"));
    const files = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return files.map((requests) => requests.filter(({ url }) => url.endsWith(ending)).map(({ url }) => url.split("/").at(-1)).join());
  }, ending);
}

test("after the first visit the page works without a network", async ({ page, address, errors }) => {
  await openPage(page, address, 64);
  // Until the engine's file, the largest, is kept. The other device's engine is not fetched.
  await expect.poll(() => kept(page, ".wasm"), { timeout: 30_000 }).toEqual([expect.stringMatching(/^tinysam-cpu-[^,]*$/)]);
  await page.context().setOffline(true);
  errors.expectError(/ERR_INTERNET_DISCONNECTED/);
  await page.reload();
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await page.locator("#samples button").nth(2).click();
  await expect(score(page)).toBeHidden();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});

test("samples that came encoded do so without a network, too, and the others are encoded", async ({ page, errors }) => {
  const status = page.locator("#status");
  const server = await serve({ "/page/": process.env.TINYSAM_PAGE ?? "" });
  const small = `${server.address}/page/#weights=./models/tinysam-photos.safetensors&device=cpu`;
  try {
    await page.goto(small);
    await expect.poll(() => kept(page, ".wasm"), { timeout: 60_000 }).toEqual([expect.stringMatching(/^tinysam-cpu-/)]);
    // Nothing of them is fetched that was not asked for.
    expect(await kept(page, ".tinysam")).toEqual([""]);
    await page.locator("#samples button").nth(1).click();
    await expect.poll(() => kept(page, ".tinysam")).toEqual(["chelsea.png.tinysam"]);
  } finally {
    // Not `setOffline`: service workers do not hear of it.
    await server.close();
  }
  errors.expectError(/ERR_|Failed to fetch/);
  // Another document of its folder is not the page.
  await page.goto(`${server.address}/page/photos/chelsea.png`);
  expect(await page.evaluate(() => document.contentType)).toBe("image/png");
  await page.goto(`${small}&photo=chelsea.png`);
  await expect(status).toContainText("encoded beforehand", { timeout: 60_000 });
  await page.locator("#samples button").nth(2).click();
  await expect(status).toContainText(/ encode \d/);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await expect(page.locator("#alert")).toBeHidden();
});

test("an open tab keeps its version's files when there is a newer one, until it is closed; the list of checkpoints is fresh", async ({ page, address }) => {
  const folder = mkdtempSync(join(tmpdir(), "tinysam-page-"));
  cpSync(process.env.TINYSAM_PAGE ?? "", folder, { recursive: true });
  const formula = await (await fetch(`${address}/models/formula.safetensors`)).arrayBuffer();
  const server = await serve({ "/page/": folder });
  const open = `${server.address}/page/#weights=./models/tinysam-photos.safetensors&device=cpu&size=64`;
  try {
    await page.goto(open);
    const wasm = readdirSync(join(folder, "assets")).find((name) => /^tinysam-cpu.*\.wasm$/.test(name))!;
    await expect.poll(() => kept(page, ".wasm"), { timeout: 60_000 }).toEqual([wasm]);
    await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });

    // A deployment: a module by another name, and the page that names it. The old one is gone from the host.
    const renamed = wasm.replace("tinysam-cpu-", "tinysam-cpu-newer-");
    for (const name of ["sw.js", "index.html", ...readdirSync(join(folder, "assets")).filter((name) => name.endsWith(".js")).map((name) => `assets/${name}`)]) {
      const path = join(folder, name);
      const text = readFileSync(path, "utf8").replaceAll(wasm, renamed);
      writeFileSync(path, name === "sw.js" ? text.replace(/([0-9a-f]{16})/, "0123456789abcdef") : text);
    }
    renameSync(join(folder, "assets", wasm), join(folder, "assets", renamed));
    writeFileSync(join(folder, "models/second.safetensors"), Buffer.from(formula));
    const list = JSON.parse(readFileSync(join(folder, "models/index.json"), "utf8"));
    writeFileSync(join(folder, "models/index.json"), JSON.stringify([...list, { name: "second.safetensors", sha256: "0".repeat(64) }]));

    // The newer version is there and waits; the tab starts another engine with its own version's files.
    await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
    await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.waiting?.state)).toBe("installed");
    await expect.poll(() => kept(page, "index.json")).toHaveLength(2);
    // It has the engine of the device that the older one has: when that goes, it works without a network, too.
    expect(await kept(page, ".wasm")).toEqual([wasm, renamed]);
    await openTab(page, "Model");
    await page.locator("#device").selectOption("auto");
    await expect(page.locator("#machine-facts")).toContainText("so the CPU is used", { timeout: 60_000 });

    // A new tab has the fresh list at once, with the old service worker still there.
    const other = await page.context().newPage();
    await other.goto(open);
    await expect(other.locator("#checkpoint option")).toHaveText(["tinysam-photos.safetensors", "TinySAM, official", "second.safetensors"]);

    // The last of the old ones is closed.
    await other.close();
    await page.goto("about:blank");
    await expect
      .poll(async () => {
        await page.goto(open);
        const names = await kept(page, "index.json");
        await page.goto("about:blank");
        return names.length;
      }, { timeout: 60_000 })
      .toBe(1);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
