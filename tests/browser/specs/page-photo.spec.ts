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
