/** The programs of the folder `examples`, as they were built: on a photo, by the project's own checkpoint. */
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect as hurried, test } from "../fixtures.ts";

/** A program loads its model first, beside whatever else the machine does. */
const expect = hurried.configure({ timeout: 60_000 });
const PHOTO = join(import.meta.dirname, "../../fixtures/photos/coffee.png");
const OTHER = join(import.meta.dirname, "../../../www/public/photos/chelsea.png");
/** Of the cup, in the photo's pixels. */
const CUP = { position: { x: 300, y: 200 } };

async function open(page: Page, address: string, name: string): Promise<void> {
  await page.goto(`${address}/examples/${name}/`);
}

for (const name of ["react", "vue", "svelte"]) {
  test(name, async ({ page, address }) => {
    await open(page, address, name);
    const input = page.locator("input");
    const status = page.getByRole("status");
    const photo = page.locator("img");
    const mask = page.locator("svg path");
    await expect(status).toHaveText(/^Choose a photo/);
    await input.setInputFiles(PHOTO);
    await expect(status).toHaveText(/^Click/);
    await photo.click(CUP);
    await expect(mask).toHaveAttribute("d", /^M.{20}/);
    await expect(status).toHaveText(/^Score 0\.\d\d/);
    const first = await mask.getAttribute("d");
    // What does not belong to it; a click that overtakes another.
    await photo.click({ position: { x: 40, y: 40 }, modifiers: ["Shift"] });
    await photo.click({ position: { x: 560, y: 360 }, modifiers: ["Shift"] });
    await expect(mask).not.toHaveAttribute("d", first!);
    // Another photo in the place of one that is still encoded.
    await input.setInputFiles(PHOTO);
    await input.setInputFiles(OTHER);
    await expect(mask).toHaveCount(0);
    await expect(status).toHaveText(/^Click/);
    await photo.click(CUP);
    await expect(mask).toHaveAttribute("d", /^M/);
    // What cannot be read is told.
    await input.setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
    await expect(page.getByRole("alert")).toContainText("TinySamError");
    await input.setInputFiles(OTHER);
    await expect(status).toHaveText(/^Click/);
  });
}

test("html", async ({ page, address }) => {
  await open(page, address, "html");
  await expect(page.getByRole("status")).toHaveText(/^Choose a photo/);
  await page.locator("input").setInputFiles(PHOTO);
  await expect(page.getByRole("status")).toHaveText(/^Click/);
  const picture = () => page.locator("canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  const before = await picture();
  await page.locator("canvas").click(CUP);
  await expect(page.getByRole("status")).toHaveText(/^Score 0\.\d\d/);
  expect(await picture()).not.toBe(before);
});

test("video: the mask of a frame is the prompt of the next", async ({ page, address }) => {
  await open(page, address, "video");
  await expect(page.getByRole("status")).toHaveText("Choose a video.");
  await page.locator("input").setInputFiles({ name: "a.webm", mimeType: "video/webm", buffer: await recorded(page, `${address}/photos/coffee.png`) });
  await expect(page.getByRole("status")).toHaveText(/^Click/);
  await page.locator("video").click(CUP);
  const times = new Set<string>();
  await expect(async () => {
    times.add((await page.getByRole("status").textContent())!);
    expect([...times].filter((text) => /^\d+\.\d\d s, score 0\.\d\d/.test(text)).length).toBeGreaterThan(3);
  }).toPass();
});

test("annotorious: a click is an annotation with the mask's parts", async ({ page, address }) => {
  await open(page, address, "annotorious");
  await page.locator("input").setInputFiles(PHOTO);
  await expect(page.getByRole("status")).toHaveText("Click an object.");
  await page.locator("#photo").click(CUP);
  await expect(page.locator("pre")).toContainText("MULTIPOLYGON");
  const [annotation] = JSON.parse((await page.locator("pre").textContent())!) as { target: { selector: { geometry: { bounds: object; polygons: { rings: { points: number[][] }[] }[] } } } }[];
  expect(annotation!.target.selector.geometry.polygons[0]!.rings[0]!.points.length).toBeGreaterThan(8);
  // A click on it selects it, and adds nothing.
  await page.locator("#photo").click(CUP);
  await expect(page.locator(".a9s-annotation.selected, .a9s-annotation[class*=selected]").or(page.locator(".a9s-shape-handle").first())).toBeVisible();
});

test("gallery: an embedding that was made elsewhere", async ({ app, page, address }) => {
  await app.open("bare");
  const bytes = await page.evaluate(async (host) => {
    const sam = await tinysam.TinySam.load({ weights: `${host}/page/models/tinysam-photos.safetensors`, device: "cpu", size: 320 });
    const image = await sam.embed(`${host}/photos/coffee.png`);
    return Array.from(await image.toBytes());
  }, address);
  await page.route("**/examples/gallery/*", (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1);
    if (name === "index.json") return route.fulfill({ json: ["coffee.png"] });
    if (name === "coffee.png") return route.fulfill({ path: PHOTO });
    return name === "coffee.png.tinysam" ? route.fulfill({ body: Buffer.from(bytes) }) : route.continue();
  });
  await open(page, address, "gallery");
  await page.locator("img").click(CUP);
  await expect(page.getByRole("status")).toHaveText(/^coffee\.png: score 0\.\d\d/);
});

/** Two seconds of a photo that moves to the right. */
async function recorded(page: Page, photo: string): Promise<Buffer> {
  const bytes = await page.evaluate(async (photo) => {
    const picture = await createImageBitmap(await (await fetch(photo)).blob());
    const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
    const context = canvas.getContext("2d")!;
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
    const chunks: Blob[] = [];
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    for (let i = 0; i < 50; i++) {
      context.drawImage(picture, i - 25, 0);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    recorder.stop();
    await stopped;
    return Array.from(new Uint8Array(await new Blob(chunks).arrayBuffer()));
  }, photo);
  return Buffer.from(bytes);
}
