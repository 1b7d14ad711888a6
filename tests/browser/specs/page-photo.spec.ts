import { readFileSync } from "node:fs";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, score } from "../page.ts";

test("a photo by its address, and one whose host forbids it", async ({ page, address, errors }) => {
  await openPage(page, address, 64);
  await page.route("https://photos.example/**", (route) =>
    route.request().url().includes("free")
      ? route.fulfill({ body: readFileSync("../../www/public/photos/chelsea.png"), contentType: "image/png", headers: { "access-control-allow-origin": "*" } })
      : route.abort(),
  );
  await page.locator("#photo-url").fill("https://photos.example/free/cat.png?large");
  await page.locator("#photo-url").press("Enter");
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await expect(page.locator("#busy")).toBeHidden();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  errors.expectError(/CORS policy|ERR_FAILED/);
  await page.locator("#photo-url").fill("https://photos.example/shut/cat.png");
  await page.locator("#photo-url").press("Enter");
  await expect(page.locator("#error")).toContainText(/“cat\.png” cannot be read: .*CORS.* drop it here/);
});

test("a photo by the camera, which is asked for on a click alone and let go of", async ({ page, address }) => {
  await page.addInitScript(() => {
    const asked: MediaStream[] = [];
    Object.assign(globalThis, { asked });
    navigator.mediaDevices.getUserMedia = async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [320, 240];
      const context = canvas.getContext("2d")!;
      setInterval(() => {
        context.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
        context.fillRect(0, 0, 320, 240);
      }, 30);
      const stream = canvas.captureStream();
      asked.push(stream);
      return stream;
    };
  });
  const tracks = () => page.evaluate(() => (globalThis as unknown as { asked: MediaStream[] }).asked.map((stream) => stream.getTracks()[0]!.readyState));
  await openPage(page, address, 64);
  expect(await tracks()).toEqual([]);
  await page.locator("#camera-open").click();
  await page.locator("#camera-take").click();
  await expect(page.locator("#camera")).toBeHidden();
  expect(await tracks()).toEqual(["ended"]);
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  await page.evaluate(() => (navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error("Permission denied"))));
  await page.locator("#camera-open").click();
  await expect(page.locator("#camera-words")).toHaveText(/no camera .*Permission denied.*Choose a photo/);
  await page.keyboard.press("Escape");
  await expect(page.locator("#camera")).toBeHidden();
});

test("a photo dropped on the page, and one pasted into it", async ({ page, address }) => {
  await openPage(page, address, 64);
  for (const [type, target, name] of [["drop", "dataTransfer", "chelsea.png"], ["paste", "clipboardData", "astronaut.png"]] as const) {
    await page.locator("#samples button").first().click();
    await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(1);
    await page.evaluate(
      async ({ type, target, name }) => {
        const data = new DataTransfer();
        data.items.add(new File([await (await fetch(`/photos/${name}`)).blob()], name, { type: "image/png" }));
        const options = { [target]: data, bubbles: true, cancelable: true };
        const canvas = document.getElementById("canvas")!;
        if (type === "drop") canvas.dispatchEvent(new DragEvent("dragover", options));
        if (type === "drop" && getComputedStyle(document.querySelector(".dropping")!).display === "none") throw new Error("nothing says that it may be dropped");
        canvas.dispatchEvent(type === "drop" ? new DragEvent(type, options) : new ClipboardEvent(type, options));
      },
      { type, target, name },
    );
    await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
    await expect(page.locator("#busy")).toBeHidden();
    await clickPhoto(page, 0.5, 0.5);
    await expect(score(page)).toBeVisible();
  }
});

test("a photo of twelve megapixels stays fluid", async ({ page, address }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await openPage(page, address, 64);
  // As a camera gives it, turned by its EXIF or not: large.
  const jpeg = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(4000, 3000);
    const context = canvas.getContext("2d")!;
    context.drawImage(await createImageBitmap(await (await fetch("/photos/coffee.png")).blob()), 0, 0, 4000, 3000);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })).arrayBuffer());
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  });
  await page.locator("#photo-file").setInputFiles({ name: "large.jpg", mimeType: "image/jpeg", buffer: Buffer.from(jpeg, "latin1") });
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await expect(page.locator("#busy")).toBeHidden({ timeout: 60_000 });
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  // Every frame draws the whole of it anew.
  const frames = page.evaluate(
    () =>
      new Promise<number[]>((resolve) => {
        const times: number[] = [];
        const next = (now: number) => {
          times.push(now);
          if (times.length > 60) return resolve(times.slice(1).map((time, i) => time - times[i]!));
          document.getElementById("canvas")!.dispatchEvent(new WheelEvent("wheel", { deltaY: times.length % 2 === 0 ? 120 : -240, cancelable: true }));
          requestAnimationFrame(next);
        };
        requestAnimationFrame(next);
      }),
  );
  const sorted = (await frames).sort((a, b) => a - b);
  console.log(`frames of a photo of 12 megapixels: median ${sorted[30]!.toFixed(0)} ms, 90 % under ${sorted[54]!.toFixed(0)} ms`);
  expect(sorted[30]).toBeLessThanOrEqual(100);
});
