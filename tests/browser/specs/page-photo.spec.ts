import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, dragPhoto, openPage, openTab, saved, score } from "../page.ts";

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
  await expect(page.locator("#camera-video")).toBeHidden();
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

test("addresses as people have them: a stray %, letters that are not UTF-8, http", async ({ page, address }) => {
  await openPage(page, address, 64);
  const asked: string[] = [];
  await page.route("https://photos.example/**", (route) => {
    asked.push(new URL(route.request().url()).pathname);
    return route.fulfill({ body: readFileSync("../../www/public/photos/chelsea.png"), contentType: "image/png", headers: { "access-control-allow-origin": "*" } });
  });
  const load = async (url: string) => {
    await page.locator("#photo-url").fill(url);
    await page.locator("#photo-url").press("Enter");
  };
  const names = ["100%25_wool.png", "100%_wool.png", "50%", "%E4pfel.png", "%FF%FE", "a%20cat.png"];
  for (const [i, name] of names.entries()) {
    await page.locator("#samples button").first().click();
    await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(1);
    await load(`https://photos.example/${name}`);
    await expect(page.locator("#samples [aria-pressed=true]"), name).toHaveCount(0);
    await expect(page.locator("#alert"), name).toBeHidden();
    expect(asked).toHaveLength(i + 1);
  }
  await load("http://photos.example/cat.png");
  await expect(page.locator("#error")).toHaveText(/“cat\.png” is at an http: address.* https:, or save the photo and drop it here\./);
  expect(asked).toHaveLength(names.length);
});

/** Drops data on an element, as a browser does: asks first whether it may. True if the page took it. */
async function drop(page: Page, selector: string, data: Record<string, string>): Promise<boolean> {
  return page.locator(selector).evaluate((target, data) => {
    const transfer = new DataTransfer();
    for (const [type, value] of Object.entries(data)) transfer.setData(type, value);
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    const over = !target.dispatchEvent(new DragEvent("dragover", options));
    const taken = !target.dispatchEvent(new DragEvent("drop", options));
    if (over !== taken) throw new Error(`dragover says ${over}, drop ${taken}`);
    return taken;
  }, data);
}

test("text goes into fields, and a picture of another page opens", async ({ page, address }) => {
  await openPage(page, address, 64);
  const cat = readFileSync("../../www/public/photos/chelsea.png");
  await page.route("https://photos.example/cat.png", (route) => route.fulfill({ body: cat, contentType: "image/png", headers: { "access-control-allow-origin": "*" } }));
  // The browser's own doing, unless the page takes it.
  for (const id of ["#photo-url", "#least-score", "#points-per-side"]) {
    expect(await drop(page, id, { "text/plain": "https://photos.example/cat.png" }), id).toBe(false);
    expect(await drop(page, id, { "text/plain": "x", "text/uri-list": "https://photos.example/cat.png" }), id).toBe(false);
  }
  expect(await drop(page, "#canvas", { "text/plain": "words" })).toBe(false);
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(1);

  // As browsers say it of a picture within a link: the link's address, and the picture in HTML.
  const html = '<a href="https://photos.example/page"><img src="https://photos.example/cat.png" alt="a cat"></a>';
  for (const data of [{ "text/uri-list": "https://photos.example/page", "text/html": html }, { "text/html": "", "text/uri-list": "# a cat\r\nhttps://photos.example/cat.png\r\n" }]) {
    await page.locator("#samples button").first().click();
    await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(1);
    expect(await drop(page, "#canvas", data)).toBe(true);
    await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
    await expect(page.locator("#alert")).toBeHidden();
  }
  await expect(page.locator("body")).not.toHaveClass(/is-dropping/);
});

test("a picture that is too large says its size and the limit, and is not decoded; what is shown stays", async ({ page, address }) => {
  await page.addInitScript(() => {
    const decoded: number[] = [];
    const { createImageBitmap } = globalThis;
    Object.assign(globalThis, { decoded, createImageBitmap: (...args: [Blob]) => (decoded.push(args[0].size), createImageBitmap(...args)) });
  });
  await openPage(page, address, 64);
  const decoded = () => page.evaluate(() => (globalThis as unknown as { decoded: number[] }).decoded.length);
  const before = await decoded();
  const png = (width: number, height: number) => {
    const head = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08\x06\0\0\0", "latin1");
    head.writeUInt32BE(width, 16);
    head.writeUInt32BE(height, 20);
    return head;
  };
  const gif = Buffer.from("GIF89a\x60\xea\x60\xea\0\0\0", "latin1");
  for (const [buffer, words] of [
    [png(20_000, 20), "20000 × 20 pixels, 0 megapixels"],
    [png(15_000, 8_000), "15000 × 8000 pixels, 120 megapixels"],
    [png(30_000, 20_000), "30000 × 20000 pixels, 600 megapixels"],
    [gif, "60000 × 60000 pixels, 3600 megapixels"],
  ] as const) {
    await page.locator("#photo-file").setInputFiles({ name: "large", mimeType: "", buffer });
    await expect(page.locator("#error")).toHaveText(`“large” has ${words}: at most 16384 a side and 100 megapixels can be segmented. Make it smaller first.`);
  }
  expect(await decoded()).toBe(before);
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(1);
  await page.locator("#error-close").click();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  // One that is cut off is told from one that is none.
  const jpeg = readFileSync("../../www/public/photos/rocket.jpg");
  await page.locator("#photo-file").setInputFiles({ name: "cut", mimeType: "", buffer: jpeg.subarray(0, 200) });
  await expect(page.locator("#error")).toHaveText(/“cut” is a JPEG that this browser cannot read: it may be damaged or cut off/);
});

test("checkpoints are told by what is in them, whatever they are called and wherever they come in", async ({ page, address }) => {
  await openPage(page, address, 64);
  const spare = readFileSync("../../www/public/models/tinysam-photos.safetensors");
  // A phone's picker shows all files: it knows none of these endings.
  await expect(page.locator("#checkpoint-file")).not.toHaveAttribute("accept");
  await openTab(page, "Model");
  await page.locator("#photo-file").setInputFiles({ name: "weights", mimeType: "application/octet-stream", buffer: spare });
  await expect(page.locator("#status")).toContainText(/^weights · /, { timeout: 60_000 });
  // Zips and pickles that are no checkpoint: the engine says what they lack, and what worked goes on.
  for (const [name, begin] of [["pytorch_model.bin", "PK\x03\x04"], ["last.ckpt", "\x80\x02}q\0."], ["model.pth.tar", "ustar"], ["x.safetensors (1)", "\x08\x07"]] as const) {
    await page.locator("#photo-file").setInputFiles({ name, mimeType: "", buffer: Buffer.from(begin.padEnd(200, "\0"), "latin1") });
    await expect(page.locator("#error")).toHaveAttribute("data-code", /^checkpoint_/);
    await expect(page.locator("#checkpoint")).toHaveValue("weights");
    await page.locator("#error-close").click();
  }
  // A photo is a photo.
  await page.locator("#checkpoint-file").setInputFiles({ name: "photo.pt", mimeType: "", buffer: readFileSync("../../www/public/photos/chelsea.png") });
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await expect(page.locator("#alert")).toBeHidden();
  await expect(page.locator("#status")).toContainText("weights");
  await openTab(page, "Masks");
  await expect(page.locator("#busy")).toBeHidden({ timeout: 60_000 });
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});

test("masks of a photo of more than 16.7 megapixels are saved where no canvas is so large", async ({ page, address }) => {
  // As iOS has it: what is drawn on a canvas of more than 2^24 pixels is not there.
  await page.addInitScript(() => {
    const { prototype } = OffscreenCanvasRenderingContext2D;
    for (const name of ["drawImage", "fillRect", "putImageData"] as const) {
      const draw = prototype[name] as (...args: unknown[]) => unknown;
      Object.assign(prototype, {
        [name](this: OffscreenCanvasRenderingContext2D, ...args: unknown[]) {
          if (this.canvas.width * this.canvas.height <= 1 << 24) Reflect.apply(draw, this, args);
        },
      });
    }
  });
  await openPage(page, address, 64);
  const jpeg = await page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [4300, 4000];
    const context = canvas.getContext("2d")!;
    context.drawImage(await createImageBitmap(await (await fetch("/photos/coffee.png")).blob()), 0, 0, 4300, 4000);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
    return Array.from(new Uint8Array(await blob!.arrayBuffer()), (byte) => String.fromCharCode(byte)).join("");
  });
  await page.locator("#photo-file").setInputFiles({ name: "large.jpg", mimeType: "image/jpeg", buffer: Buffer.from(jpeg, "latin1") });
  await expect(page.locator("#samples [aria-pressed=true]")).toHaveCount(0);
  await expect(page.locator("#busy")).toBeHidden({ timeout: 60_000 });
  await dragPhoto(page, [0.2, 0.2], [0.7, 0.7]);
  await expect(score(page)).toBeVisible({ timeout: 60_000 });
  const check = async (kind: "cutout" | "mask" | "overlay") => {
    const { bytes } = await saved(page, `#save-${kind}`);
    expect(bytes.readUInt32BE(16), kind).toBe(4300);
    // Seen small: the photo's decoder, too, draws no more than iOS does.
    const alphas = await page.evaluate(async (base64) => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob(), { resizeWidth: 120 });
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      return [0, 255].map((alpha) => data.filter((_, i) => i % 4 === 3 && data[i] === alpha).length > 0);
    }, bytes.toString("base64"));
    expect(alphas, kind).toEqual([kind === "cutout", true]);
  };
  for (const kind of ["cutout", "mask", "overlay"] as const) await check(kind);
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(page.locator("#mask-list button")).toHaveCount(2, { timeout: 60_000 });
  for (const kind of ["cutout", "overlay"] as const) await check(kind);
});

test("a photo of twelve megapixels is as fluid as a small one", async ({ page, address }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await openPage(page, address, 64);
  const small = await framesOf(page);
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
  const large = await framesOf(page);
  console.log(`a frame: ${small.toFixed(0)} ms at the sample's size, ${large.toFixed(0)} ms at 12 megapixels`);
  // It has twenty and more times the pixels.
  expect(large).toBeLessThan(4 * small);
});

/** Milliseconds of a frame with a mask in it, the median of sixty that each draw the whole anew. */
async function framesOf(page: Page): Promise<number> {
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const times: number[] = [];
        const next = (now: number) => {
          times.push(now);
          if (times.length > 60) return resolve(times.slice(1).map((time, i) => time - times[i]!).sort((a, b) => a - b)[30]!);
          document.getElementById("canvas")!.dispatchEvent(new WheelEvent("wheel", { deltaY: times.length % 2 === 0 ? 120 : -240, cancelable: true }));
          requestAnimationFrame(next);
        };
        requestAnimationFrame(next);
      }),
  );
}
