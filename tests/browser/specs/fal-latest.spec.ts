/** What the embedding of the last request's picture saves, and when there is none. (When it counts: fal-again.spec.ts.) */
import type { Page } from "@playwright/test";
import { expect, test } from "../fal.ts";
import { limitMemory, limitPixels } from "../memory.ts";

/** Asks for a mask of each of the pictures: whether its embedding was there, how long it took, and what came of it. */
function ask(page: Page, asked: { photo: string; x: number; blob?: boolean }[], size: number) {
  return page.evaluate(
    async ({ asked, size }) => {
      const { fal } = tinysam;
      const told = [];
      for (const { photo, x, blob = false } of asked) {
        const url = new URL(`/photos/${photo}`, location.href).href;
        const image_url = blob ? URL.createObjectURL(await (await fetch(url)).blob()) : url;
        const { data, requestId } = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size, point_prompt: [[x, 200]] } });
        const status = await fal.queue.status("fal-ai/tiny-sam", { requestId, logs: true });
        if (status.status !== "COMPLETED") throw new Error(status.status);
        const hash = await crypto.subtle.digest("SHA-256", await (await fetch(data.image.url)).arrayBuffer());
        const again = status.logs.some(({ message }) => message.includes("not encoded again"));
        told.push({ again, seconds: status.metrics!.inference_time!, hash: new Uint8Array(hash).toString() });
      }
      return told;
    },
    { asked, size },
  );
}

test("the next prompt on a picture costs a decoding, wherever the picture comes from, and gives the same", async ({ page, door }) => {
  await door.open({ device: "cpu" });
  await ask(page, [{ photo: "chelsea.png", x: 200 }], 64); // loads the model
  const photo = "coffee.png";
  const [first, moved, same, other, anew] = await ask(
    page,
    [{ photo, x: 200 }, { photo, x: 300 }, { photo, x: 200, blob: true }, { photo: "chelsea.png", x: 200 }, { photo, x: 300 }],
    512,
  );
  expect([first!.again, moved!.again, same!.again, other!.again, anew!.again]).toEqual([false, true, true, false, false]);
  expect([same!.hash, anew!.hash]).toEqual([first!.hash, moved!.hash]);
  expect(moved!.hash).not.toBe(first!.hash);
  const next = Math.min(moved!.seconds, same!.seconds);
  console.log(`by fal's door at 512: ${first!.seconds.toFixed(2)} s for the first prompt on a picture, ${next.toFixed(2)} s for the next`);
  expect(next).toBeLessThan(first!.seconds / 2);
});

test("where there is nothing to hash with, for want of a secure context, each request encodes its picture", async ({ page, door }) => {
  await page.context().route(/\/worker-cpu[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `Object.defineProperty(crypto, "subtle", { value: undefined });${await response.text()}` });
  });
  await door.open({ device: "cpu" });
  const photo = "coffee.png";
  const [first, second] = await ask(page, [{ photo, x: 200 }, { photo, x: 200 }], 64);
  expect([first!.again, second!.again]).toEqual([false, false]);
  expect(second!.hash).toBe(first!.hash);
});

test("where there is memory for one big picture, there is for another after it", async ({ page, door }) => {
  // Its pixels are 144 MB.
  await limitMemory(page, 140);
  await limitPixels(page, 200);
  await door.open({ device: "cpu" });
  const told = await page.evaluate(async () => {
    const told = [];
    for (const colour of ["red", "blue"]) {
      const canvas = new OffscreenCanvas(8000, 6000);
      const context = canvas.getContext("2d")!;
      context.fillStyle = colour;
      context.fillRect(100, 100, 4000, 3000);
      const image_url = URL.createObjectURL(await canvas.convertToBlob());
      const input = { image_url, size: 64, point_prompt: [[300, 200]], output: "mask" as const };
      told.push(await tinysam.fal.run("fal-ai/tiny-sam", { input }).then(({ data }) => data.image.width, String));
    }
    return told;
  });
  expect(told).toEqual([8000, 8000]);
});
