/**
 * The package on the CPU, and the page, in three browsers: what the first finds, the others must find. Masks are the same to
 * the last pixel, and so are their files. Logits and scores are the same but for their last digits: a browser with relaxed
 * SIMD rounds once where another rounds twice.
 */
import { BROWSERS, expect, test } from "./browsers.ts";

/** What the first browser found, by the name of a check. */
const first = new Map<string, unknown>();

/**
 * What a finding must be: whole numbers, words and bytes as they are, other numbers to four decimals, and a stability, which
 * counts pixels whose logits are over a threshold, to three.
 */
function near(found: unknown, digits = 4): unknown {
  if (typeof found === "number") return Number.isInteger(found) ? found : expect.closeTo(found, digits);
  if (Array.isArray(found)) return found.map((value) => near(value));
  if (typeof found !== "object" || found === null) return found;
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, near(value, name === "stability" ? 3 : 4)]));
}

/** Holds a browser's findings to the first one's. */
function same(name: string, found: unknown): void {
  if (!first.has(name)) first.set(name, near(found));
  expect(found).toEqual(first.get(name));
}

for (const browser of BROWSERS) {
  test.describe(browser, () => {
    test("every prompt and every answer, in a worker and without", async ({ open }) => {
      const page = await open(browser);
      const found = await page.run(() => checks.engine());
      expect(found.device).toBe("cpu");
      expect(found.kept).toBe(true);
      expect(found.masks).toHaveLength(11);
      expect(found.everything.masks.length).toBeGreaterThan(1);
      expect(found.errors).toEqual({
        stopped: "aborted",
        "no prompt": "prompt_invalid",
        "an odd box": "prompt_invalid",
        "no photo": "image_invalid",
        "no address": "image_unreachable",
        "no weights": "checkpoint_unreachable",
        "another hash": "checkpoint_hash",
        "WebGPU where there is none": "device_unavailable",
      });
      expect(found.freed).toEqual(["released", "released"]);
      same("engine", found);
      expect(await page.run(() => checks.local())).toEqual(found.masks[0]);
      expect(await page.run(() => checks.problems())).toEqual([]);
    });

    test("fal's door", async ({ open }) => {
      const page = await open(browser);
      const found = await page.run(() => checks.door());
      expect(found.upload).toEqual([true, true]);
      expect(found.states).toContain("COMPLETED");
      expect(found.failed).toMatchObject({ status: 422 });
      expect(new Set(found.told)).toEqual(new Set(["cpu"]));
      same("door", found);
      expect(await page.run(() => checks.problems())).toEqual([]);
    });

    test("the page: open it, click, see a mask", async ({ browsers, address }) => {
      const page = await browsers(browser);
      await page.goto(`${address}/page/?weights=../models/formula.safetensors&device=cpu&size=64`);
      const words = (selector: string) => page.run((selector) => document.querySelector(selector)?.textContent ?? "", selector);
      const shown = () => page.run(() => document.querySelector<HTMLCanvasElement>("#canvas")?.toDataURL() ?? "");
      await expect.poll(() => words("#machine-facts")).toContain("Encode");
      const before = await shown();
      await page.click("#canvas");
      await expect.poll(() => words("#mask-facts dd")).toMatch(/^[01]\.\d{3}$/);
      await expect.poll(shown).not.toBe(before);
      expect(await words("#error")).toBe("");
    });
  });
}
