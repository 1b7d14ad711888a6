import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage } from "../page.ts";

// Where the photo lies is told by a click: the mark is the photo's pixel under the pointer.

/** The photo's pixel at a part of the stage's width and height. */
async function pixelAt(page: Page, x: number, y: number): Promise<readonly [number, number]> {
  await clickPhoto(page, x, y);
  await expect(page.locator("#fal-code")).toContainText("point_prompt");
  const [at] = JSON.parse(/point_prompt: (.*),/.exec((await page.locator("#fal-code").textContent()) ?? "")?.[1] ?? "[]");
  await page.locator("#undo").click();
  await expect(page.locator("#fal-code")).not.toContainText("point_prompt");
  return at;
}

/** Over the middle of the stage. */
async function hover(page: Page): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  return box;
}

/** Zooms in to four times, about the middle. */
async function zoomIn(page: Page): Promise<void> {
  await hover(page);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -924);
  await page.keyboard.up("Control");
}

test("panning by Space and a drag, by wheel and touchpad; zooming by Control and the wheel", async ({ page, address }) => {
  await openPage(page, address, 64);
  const whole = await pixelAt(page, 0.5, 0.5);
  const right = await pixelAt(page, 0.75, 0.5);
  const perPart = (right[0] - whole[0]) * 4;
  await zoomIn(page);
  const zoomed = await pixelAt(page, 0.75, 0.5);
  const zoom = perPart / ((zoomed[0] - whole[0]) * 4);
  expect(zoom).toBeGreaterThan(3.5);
  const box = await hover(page);
  const scale = (box.width * zoom) / perPart;
  const near = async (x: number, y: number) => {
    const at = await pixelAt(page, 0.5, 0.5);
    expect(Math.abs(at[0] - x)).toBeLessThan(1);
    expect(Math.abs(at[1] - y)).toBeLessThan(1);
  };
  await near(whole[0], whole[1]);

  // A drag moves the photo and marks nothing.
  await page.locator("#canvas").focus();
  await hover(page);
  await page.keyboard.down("Space");
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 40, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up("Space");
  await expect(page.locator("#undo")).toBeDisabled();
  await near(whole[0] - 60 / scale, whole[1] - 40 / scale);

  // A touchpad goes in both directions at once, a mouse in one, and sideways with Shift.
  await hover(page);
  await page.mouse.wheel(60, 40);
  await near(whole[0], whole[1]);
  await hover(page);
  await page.mouse.wheel(0, 100);
  await near(whole[0], whole[1] + 100 / scale);
  await hover(page);
  await page.keyboard.down("Shift");
  await page.mouse.wheel(0, 100);
  await page.keyboard.up("Shift");
  await near(whole[0] + 100 / scale, whole[1] + 100 / scale);

  // What is shown whole cannot be panned: a turn that begins there zooms to its end.
  await page.locator("#zoom-fit").click();
  await hover(page);
  await page.locator("#canvas").evaluate((canvas) => {
    const { width, height } = canvas.getBoundingClientRect();
    for (let i = 0; i < 10; i++) canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -92.4, clientX: width / 2, clientY: height / 2, bubbles: true, cancelable: true }));
  });
  const turned = await pixelAt(page, 0.75, 0.5);
  const left = await pixelAt(page, 0.25, 0.5);
  expect(Math.abs((turned[0] - left[0]) * 2 - perPart / zoom)).toBeLessThan(2);
});

test("Space still presses buttons", async ({ page, address }) => {
  await openPage(page, address, 64);
  await page.locator("#tool-exclude").focus();
  await page.keyboard.press("Space");
  await expect(page.locator("#tool-exclude")).toHaveAttribute("aria-pressed", "true");
});

test("the keyboard's crosshair stays in view", async ({ page, address }) => {
  await openPage(page, address, 64);
  await zoomIn(page);
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.locator("#canvas").focus();
  const code = page.locator("#fal-code");
  for (const [key, axis] of [["Shift+ArrowRight", 0], ["Shift+ArrowDown", 1], ["Shift+ArrowLeft", 0], ["Shift+ArrowUp", 1]] as const) {
    for (let i = 0; i < 40; i++) await page.keyboard.press(key);
    await page.keyboard.press("Enter");
    await expect(code).toContainText("point_prompt");
    const [at] = JSON.parse(/point_prompt: (.*),/.exec((await code.textContent()) ?? "")?.[1] ?? "[]");
    await page.keyboard.press("Control+z");
    await expect(code).not.toContainText("point_prompt");
    const low = await pixelAt(page, 4 / box.width, 4 / box.height);
    const high = await pixelAt(page, 1 - 4 / box.width, 1 - 4 / box.height);
    // At the photo's own edge it is on the view's.
    expect(at[axis], key).toBeGreaterThanOrEqual(low[axis] - 1);
    expect(at[axis], key).toBeLessThanOrEqual(high[axis] + 1);
    await page.locator("#canvas").focus();
  }
});

test("whatever the window's width, the stage and its tools are whole", async ({ page, address }) => {
  await openPage(page, address, 64);
  for (const width of [320, 700, 901, 960, 1024, 1180, 1260, 1261, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    const [stage, right, view] = await page.evaluate(() => {
      const right = (element: Element) => element.getBoundingClientRect().right;
      const buttons = [...document.querySelectorAll("#stage .bar button")].filter((button) => button.getClientRects().length > 0);
      return [right(document.querySelector("#stage")!), Math.max(...buttons.map(right)), right(document.querySelector("#canvas")!)];
    });
    expect(Math.max(right!, view!), `${width} pixels`).toBeLessThanOrEqual(stage!);
  }
});

test("on another screen the photo is drawn anew, by that screen's pixels", async ({ page, address }) => {
  // Playwright's own emulation changes the ratio without telling the page's queries.
  await page.addInitScript(() => {
    const { matchMedia } = globalThis;
    globalThis.matchMedia = (query) => {
      if (!query.includes("dppx")) return matchMedia(query);
      const screens = new EventTarget();
      Object.assign(globalThis, { screens });
      return screens as MediaQueryList;
    };
  });
  await openPage(page, address, 64);
  const size = () => page.locator("#canvas").evaluate((canvas: HTMLCanvasElement) => canvas.width / canvas.clientWidth);
  expect(await size()).toBeCloseTo(1, 1);
  for (const ratio of [2, 1]) {
    await page.evaluate((ratio) => {
      Object.defineProperty(globalThis, "devicePixelRatio", { value: ratio, configurable: true });
      (globalThis as unknown as { screens: EventTarget }).screens.dispatchEvent(new Event("change"));
    }, ratio);
    expect(await size()).toBeCloseTo(ratio, 1);
  }
});
