/** What every browser must do alike, for tests/browser/browsers: all that a function finds is JSON. */
import * as tinysam from "tinysam";
import * as looks from "./pictures.ts";

const WEIGHTS = "/models/formula.safetensors";
const SIZE = 64;

/** A picture by a formula of whole numbers: shapes and noise, 160×120. */
function photo(): ImageData {
  const image = new ImageData(160, 120);
  let noise = 1;
  for (let i = 0; i < 160 * 120; i++) {
    const [x, y] = [i % 160, Math.floor(i / 160)];
    noise = (noise * 1_103_515_245 + 12_345) % 2_147_483_648;
    let rgb = [x + 40, y + 60, (x + y) >> 1];
    if ((x - 50) ** 2 + (y - 45) ** 2 < 900) rgb = [220, 60, 40];
    if (x > 90 && x < 140 && y > 50 && y < 100) rgb = [40, 90, 210];
    image.data.set([...rgb.map((value) => value + (noise % 16)), 255], 4 * i);
  }
  return image;
}

/** Bytes as SHA-256 in hex. */
async function digest(bytes: ArrayBufferView<ArrayBuffer> | Blob): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes instanceof Blob ? await bytes.arrayBuffer() : bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Everything that a mask can be asked for. */
async function told(mask: tinysam.Mask) {
  const { width, height, score, stability, area, bbox, point } = mask;
  const polygons = await mask.toPolygons();
  return {
    facts: { width, height, score, stability, area, bbox, ...(point && { point }) },
    rle: await mask.toRle(),
    rings: polygons.length,
    polygons: await digest(Float32Array.from(polygons.flatMap(({ outline, holes }) => [outline, ...holes].flatMap((ring) => [...ring])))),
    runs: await digest(await mask.toRuns()),
    bits: await digest(await mask.toBits()),
    logits: [...(await mask.logits())],
    pixels: await digest(new Uint8Array((await mask.toImageData()).data)),
    png: [await digest(await mask.toBlob()), await digest(await mask.toBlob("cutout")), await digest(await mask.toBlob("overlay"))],
  };
}

/** The code of the error that a call ends in. */
const code = (call: Promise<unknown>): Promise<string> =>
  call.then(() => "no error", (error) => (error instanceof tinysam.TinySamError ? error.code : `not ours: ${error}`));

/** The engine on the page's own thread. */
async function local() {
  const sam = await tinysam.TinySam.load({ weights: WEIGHTS, size: SIZE, worker: false });
  const [mask] = await (await sam.embed(photo())).segment({ points: [[50, 45]] });
  const found = await told(mask!);
  sam.free();
  return found;
}

/** The engine's own door: every prompt and every answer. */
async function engine() {
  const phases = new Set<string>();
  const sam = await tinysam.TinySam.load({ weights: WEIGHTS, size: SIZE, onProgress: ({ phase }) => phases.add(phase) });
  const image = await sam.embed(photo());
  const [point] = await image.segment({ points: [[50, 45]] });
  const [both] = await image.segment({ points: [[50, 45], [115, 75]], labels: [1, 0] });
  const [box] = await image.segment({ box: [90, 50, 50, 50] });
  const [byMask] = await image.segment({ points: [[50, 45]], mask: await box!.logits() });
  const several = await image.segment({ boxes: [[20, 15, 60, 60], [90, 50, 50, 50], [0, 0, 160, 120]] });
  const three = await image.segment({ points: [[115, 75]], multimask: true });
  const [refined] = await point!.refine({ points: [[70, 45]], labels: [0] });
  const loose = { pointsPerSide: 4, predIouThresh: 0, stabilityScoreThresh: 0, boxNmsThresh: 1 };
  const run = image.everything(loose);
  let candidates = 0;
  for await (const candidate of run) {
    candidates += 1;
    candidate.free();
  }
  const all = await run.masks;
  const stop = new AbortController();
  const stopped = image.everything({ ...loose, signal: stop.signal }).masks;
  stop.abort();
  const found = {
    device: sam.device.kind,
    sha256: sam.checkpointSha256,
    phases: [...phases],
    kept: (await caches.match(new URL(WEIGHTS, location.href).href)) !== undefined,
    sides: [image.width, image.height, image.size],
    masks: await Promise.all([point, both, box, byMask, ...several, ...three, refined].map((mask) => told(mask!))),
    everything: { candidates, masks: await Promise.all(all.map(async (mask) => [mask.score, mask.area, (await mask.toRle()).counts, mask.point])) },
    labels: await digest(await image.toLabelMap(all)),
    layers: [await digest(await image.toBlob(three)), await digest(await image.toBlob(three, "labels"))],
    memory: (await sam.memory()) > 0,
    errors: {
      stopped: await code(stopped),
      "no prompt": await code(image.segment({})),
      "an odd box": await code(image.segment({ box: [0, 0, NaN, 1] })),
      "no photo": await code(sam.embed(new Blob(["no photo"]))),
      "no address": await code(sam.embed("/photos/none.png")),
      "no weights": await code(tinysam.TinySam.load({ weights: "/models/none.safetensors" })),
      "another hash": await code(tinysam.TinySam.load({ weights: WEIGHTS, sha256: "00".repeat(32) })),
      "WebGPU where there is none": await code(tinysam.TinySam.load({ weights: WEIGHTS, device: "webgpu" })),
    },
  };
  image.free();
  sam.free();
  return { ...found, freed: [await code(image.segment({ points: [[1, 1]] })), await code(sam.embed(photo()))] };
}

/** fal's door: by this package's client, by an own fetch, and with what is wrong. */
async function door() {
  const told: string[] = [];
  tinysam.configure({ weights: WEIGHTS, fallback: false, onBackend: ({ backend }) => told.push(backend) });
  const canvas = new OffscreenCanvas(160, 120);
  canvas.getContext("2d")!.putImageData(photo(), 0, 0);
  const png = await canvas.convertToBlob();
  const image_url = await tinysam.fal.storage.upload(new File([png], "photo.png", { type: "image/png" }));
  const input = { image_url, size: SIZE, point_prompt: [[50, 45]] as [number, number][], return_masks: true };
  const states = new Set<string>();
  const subscribed = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input, logs: true, onQueueUpdate: ({ status }) => states.add(status) });
  const picture = async (url: string) => digest(await (await fetch(url)).blob());
  const { request_id } = await tinysam.fal.queue.submit("fal-ai/tiny-sam", { input: { ...input, output: "cutout", sync_mode: true } });
  for await (const _ of await tinysam.fal.queue.streamStatus("fal-ai/tiny-sam", { requestId: request_id })) continue;
  const result = await tinysam.fal.queue.result("fal-ai/tiny-sam", { requestId: request_id });
  const box = await tinysam.fal.run("fal-ai/tiny-sam", { input: { image_url: png, size: SIZE, box_prompt: [[90, 50, 50, 50]] } });
  const failed = await tinysam.fal.run("fal-ai/tiny-sam", { input: { ...input, point_label: [7 as never] } }).catch(({ status, body }) => ({ status, body }));
  const { url, content_type, file_size, width, height } = subscribed.data.image;
  return {
    upload: [image_url.startsWith("blob:"), (await picture(image_url)) === (await digest(png))],
    described: { content_type, file_size, width, height, address: url.slice(0, 5) },
    masks: subscribed.data.masks,
    states: [...states],
    pictures: [await picture(url), await picture(result.data.image.url), await picture(box.data.image.url)],
    failed,
    told,
  };
}

const checks = { engine, local, door, problems: () => Reflect.get(globalThis, "problems") as unknown };
export type Checks = typeof checks;
Object.assign(globalThis, { looks, checks });
