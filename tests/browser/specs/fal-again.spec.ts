/** Several requests on one picture: it is encoded once, for as long as it is the same picture at the same size. */
import { expect, test } from "../fal.ts";

test("a picture is encoded once, and again when it or the size is another", async ({ page, address, door }) => {
  const photo = "https://pictures.example/photo.png";
  let file = "coffee.png";
  await page.route(photo, async (route) => {
    const response = await route.fetch({ url: `${address}/photos/${file}` });
    await route.fulfill({ response, headers: { "content-type": "image/png", "access-control-allow-origin": "*" } });
  });
  await door.open({ device: "cpu" });
  const ask = (point: [number, number], size: number) =>
    page.evaluate(
      async ({ image_url, point, size }) => {
        const logs: string[] = [];
        const { data } = await tinysam.fal.subscribe("fal-ai/tiny-sam", {
          input: { image_url, size, point_prompt: [point], return_masks: true },
          logs: true,
          onQueueUpdate: (update) => {
            if ("logs" in update && update.logs) logs.splice(0, logs.length, ...update.logs.map(({ message }) => message));
          },
        });
        return { again: logs.some((line) => line.includes("not encoded again")), masks: data.masks, width: data.image.width };
      },
      { image_url: photo, point, size },
    );
  const first = await ask([300, 200], 128);
  const second = await ask([300, 200], 128);
  const elsewhere = await ask([100, 100], 128);
  expect([first.again, second.again, elsewhere.again]).toEqual([false, true, true]);
  expect(second.masks).toEqual(first.masks);
  expect(elsewhere.masks).not.toEqual(first.masks);
  const larger = await ask([300, 200], 192);
  expect(larger.again).toBe(false);
  expect((await ask([300, 200], 128)).again).toBe(false);
  // The address leads to another picture now.
  file = "chelsea.png";
  const other = await ask([10, 10], 128);
  expect([other.again, other.width === first.width]).toEqual([false, false]);
});

test("a picture that its host lets the browser keep is asked for once", async ({ page, address, door }) => {
  await door.open({ device: "cpu" });
  const widths = await page.evaluate(async (image_url) => {
    const widths = [];
    for (const x of [100, 200, 300]) {
      const input = { image_url, size: 64, point_prompt: [[x, 200]] as [number, number][] };
      widths.push((await tinysam.fal.run("fal-ai/tiny-sam", { input })).data.image.width);
    }
    return widths;
  }, `${address}/once/photos/coffee.png`);
  expect(widths).toEqual([600, 600, 600]);
});
