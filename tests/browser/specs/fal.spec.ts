/** fal's page, on the device: its snippets but for the import line, its inputs, its errors, its output. */
import { expect, test } from "../fal.ts";

/** A picture on another origin, which lets itself be read. */
const PHOTO = "https://pictures.example/coffee.png";
/** What an answer about it holds. */
const ANSWER = {
  image: {
    url: expect.stringMatching(/^blob:/),
    content_type: "image/png",
    file_name: expect.stringMatching(/\.png$/),
    file_size: expect.any(Number),
    width: 600,
    height: 400,
  },
};

test.beforeEach(async ({ page, address, door }) => {
  await page.route(PHOTO, async (route) => {
    const response = await route.fetch({ url: `${address}/photos/coffee.png` });
    await route.fulfill({ response, headers: { "content-type": "image/png", "access-control-allow-origin": "*" } });
  });
  await door.open({ device: "cpu" });
});

test("subscribe, as on fal's page", async ({ page, door }) => {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  await page.evaluate(async () => {
    const { fal } = tinysam;
    const result = await fal.subscribe("fal-ai/tiny-sam", {
      input: {
        image_url: "https://pictures.example/coffee.png",
        size: 1024,
        confidence: 0.4,
        box_prompt: [[0, 0, 0, 0]],
        point_prompt: [[300, 300]],
        point_label: [1],
      },
      logs: true,
      onQueueUpdate: (update) => {
        if (update.status === "IN_PROGRESS") {
          update.logs.map((log) => log.message).forEach((message) => console.log(message));
        }
      },
    });
    console.log(JSON.stringify(result.data));
    console.log(result.requestId);
  });
  expect(lines).toContainEqual(expect.stringMatching(/^running on cpu: /));
  expect(JSON.parse(lines.find((line) => line.startsWith("{"))!)).toEqual(ANSWER);
  expect(lines.at(-1)).toMatch(/^74696e79-7361-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(door.fal()).toEqual([]);
});

test("the shortest snippet of fal's page: everything, at 1024", async ({ page, door }) => {
  test.slow(); // half a minute of one core, on a machine with nothing else to do
  const told = await page.evaluate(async () => {
    const { fal } = tinysam;
    const image_url = "https://pictures.example/coffee.png";

    const result = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url } });

    const pixels = async (url: string) => {
      const bitmap = await createImageBitmap(await (await fetch(url)).blob());
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, bitmap.width, bitmap.height);
    };
    const [photo, shown] = [await pixels(image_url), await pixels(result.data.image.url)];
    const differ = shown.data.reduce((count, value, index) => count + Number(value !== photo.data[index]), 0);
    const { requestId } = result;
    const status = await fal.queue.status("fal-ai/tiny-sam", { requestId, logs: true });
    return { data: result.data, sides: [shown.width, shown.height], differ, status };
  });
  expect(told.data).toEqual(ANSWER);
  expect(told.sides).toEqual([600, 400]);
  if (told.status.status !== "COMPLETED") throw new Error(told.status.status);
  const lines = told.status.logs.map(({ message }) => message);
  console.log(`everything at 1024 by fal's door: ${lines.at(-1)} in ${told.status.metrics?.inference_time?.toFixed(1)} s`);
  expect(lines).toContain("the network saw the picture at 1024 x 683 pixels");
  const masks = Number(/^(\d+) masks?$/.exec(lines.at(-1)!)?.[1]);
  // The formula's weights are sure of nothing: by the paper's thresholds they may find no mask, which shows the photo.
  expect(told.differ > 0).toBe(masks > 0);
  expect(door.fal()).toEqual([]);
});

test("the queue, as on fal's page", async ({ page, door }) => {
  const told = await page.evaluate(async () => {
    const { fal } = tinysam;
    fal.config({ credentials: "YOUR_FAL_KEY" });

    const { request_id } = await fal.queue.submit("fal-ai/tiny-sam", {
      input: { image_url: "https://pictures.example/coffee.png", size: 64, point_prompt: [[300, 200]] },
      webhookUrl: "https://optional.webhook.url/for/results",
    });

    let status = await fal.queue.status("fal-ai/tiny-sam", {
      requestId: request_id,
      logs: true,
    });
    const first = status.status;
    while (status.status !== "COMPLETED") status = await fal.queue.status("fal-ai/tiny-sam", { requestId: request_id, logs: true });

    const result = await fal.queue.result("fal-ai/tiny-sam", {
      requestId: request_id,
    });
    return { first, status, data: result.data, same: result.requestId === request_id };
  });
  expect(told).toMatchObject({ status: { metrics: { inference_time: expect.any(Number) } }, data: { image: { width: 600 } }, same: true });
  expect(told.first).toMatch(/IN_PROGRESS|COMPLETED/);
  const logs = "logs" in told.status ? told.status.logs : [];
  expect(logs).toContainEqual({ message: expect.stringContaining("webhook"), level: "WARN", source: "USER", timestamp: expect.any(String) });
  expect(door.fal()).toEqual([]);
});

test("every way to give a picture gives the same one, byte by byte", async ({ page, door }) => {
  const hashes = await page.evaluate(async () => {
    const { fal } = tinysam;
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const file = new File([photo], "coffee.png", { type: "image/png" });
    const dataUri = await new Promise<string>((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result as string);
      reader.readAsDataURL(photo);
    });
    const pictures = {
      url: "https://pictures.example/coffee.png",
      data: dataUri,
      blob: URL.createObjectURL(photo),
      file,
      uploaded: await fal.storage.upload(file),
    };
    const hashes: Record<string, string> = {};
    for (const [name, image_url] of Object.entries(pictures)) {
      const { data } = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size: 64, point_prompt: [[300, 200]] } });
      const bytes = await (await fetch(data.image.url)).arrayBuffer();
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      hashes[name] = `${bytes.byteLength === data.image.file_size} ${hash.toString()}`;
    }
    return hashes;
  });
  expect(Object.keys(hashes)).toHaveLength(5);
  expect(new Set(Object.values(hashes)).size).toBe(1);
  expect(hashes.url).toMatch(/^true /);
  expect(door.fal()).toEqual([]);
});

test("everything, masks one by one, and the other pictures", async ({ page }) => {
  const told = await page.evaluate(async () => {
    const input = { image_url: "/photos/coffee.png", size: 64, points_per_side: 8, confidence: 0, stability_score_thresh: 0 };
    const absolute = { ...input, image_url: new URL(input.image_url, location.href).href };
    const { data } = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input: { ...absolute, return_masks: true, output: "cutout" } });
    const shown = new Image();
    shown.src = data.image.url;
    await shown.decode();
    return { data, sides: [shown.naturalWidth, shown.naturalHeight] };
  });
  expect(told.sides).toEqual([600, 400]);
  expect(told.data.masks?.[0]).toEqual({
    rle: { size: [400, 600], counts: expect.any(String) },
    score: expect.any(Number),
    stability: expect.any(Number),
    bbox: [expect.any(Number), expect.any(Number), expect.any(Number), expect.any(Number)],
    area: expect.any(Number),
  });
});

test("faults are fal's ValidationError, all of them at once", async ({ page, address, errors }) => {
  errors.expectError(/ERR_FAILED|CORS|status of 404/);
  // The same server by another name is another origin, and it allows nobody.
  const elsewhere = address.replace("127.0.0.1", "localhost");
  const told = await page.evaluate(async (elsewhere) => {
    const { fal } = tinysam;
    const refused = (input: Record<string, unknown>) =>
      fal.subscribe("fal-ai/tiny-sam", { input }).then(
        () => "accepted",
        (error) =>
          error instanceof tinysam.ValidationError
            ? { status: error.status, faults: error.fieldErrors.map(({ loc, type }) => `${loc.join(".")} ${type}`), of: error.getFieldErrors("point_label").length }
            : String(error),
      );
    const photo = new URL("/photos/coffee.png", location.href).href;
    return {
      many: await refused({ size: NaN, confidence: Infinity, box_prompt: [[1, 2, -3, 4]], point_prompt: [[NaN, 1], [2, 2]], point_label: [3], output: "gif" }),
      labels: await refused({ image_url: photo, point_prompt: [[1, 1], [2, 2]], point_label: [1] }),
      outside: await refused({ image_url: photo, size: 64, point_prompt: [[601, 1]] }),
      missing: await refused({ image_url: new URL("/photos/none.png", location.href).href }),
      closed: await refused({ image_url: `${elsewhere}/photos/coffee.png` }),
      garbage: await refused({ image_url: "data:image/png;base64,AAAA" }),
      relative: await refused({ image_url: "/photos/coffee.png" }),
    };
  }, elsewhere);
  expect(told).toEqual({
    many: {
      status: 422,
      faults: [
        "body.image_url missing",
        "body.size int_type",
        "body.confidence float_type",
        "body.box_prompt.0 value_error",
        "body.point_prompt.0.0 float_type",
        "body.point_label.0 one_of",
        "body.output one_of",
      ],
      of: 0,
    },
    labels: { status: 422, faults: ["body.point_label value_error"], of: 1 },
    outside: { status: 422, faults: ["body.point_prompt.0 value_error"], of: 0 },
    missing: { status: 422, faults: ["body.image_url file_download_error"], of: 0 },
    closed: { status: 422, faults: ["body.image_url file_download_error"], of: 0 },
    garbage: { status: 422, faults: ["body.image_url image_load_error"], of: 0 },
    relative: { status: 422, faults: ["body.image_url value_error"], of: 0 },
  });
});

test("every field, with every kind of value that it cannot have", async ({ page }) => {
  const NO_NUMBERS = [NaN, Infinity, "1", true, {}];
  const NO_FRACTIONS = [...NO_NUMBERS, -0.01, 1.01, 1e300, []];
  const NO_LISTS = ["[]", 1, true, {}];
  const NO_FLAGS = ["true", 1, null, []];
  const wrong: Record<string, unknown[]> = {
    image_url: [undefined, null, "", "photo.png", "/photo.png", "file:///photo.png", 7, [], {}],
    size: [...NO_NUMBERS, 0, -64, 64.5, -1e300, []],
    confidence: NO_FRACTIONS,
    box_prompt: [...NO_LISTS, [1, 2, 3, 4], [[]], [[1, 2, 3]], [[1, 2, 3, 4, 5]], [[1, 2, 0, 4]], [[1, 2, 3, -4]], [[NaN, 2, 3, 4]], [[1, 2, Infinity, 4]], [["1", 2, 3, 4]], [null]],
    point_prompt: [...NO_LISTS, [1, 2], [[]], [[1]], [[1, 2, 3]], [[NaN, 1]], [[1, -Infinity]], [["1", 2]], [{ x: 1, y: 2 }], Array(100_000).fill([1, 1])],
    point_label: [...NO_LISTS, [2], [-1], [0.5], ["1"], [true], [NaN], [null], [1, 1], []],
    output: ["gif", "Mask", 1, null, []],
    return_masks: NO_FLAGS,
    multimask: NO_FLAGS,
    pred_iou_thresh: NO_FRACTIONS,
    stability_score_thresh: NO_FRACTIONS,
    points_per_side: [...NO_NUMBERS, 0, 3, 30, 132, 1e300, -4, 4.5],
    min_mask_region_area: [...NO_NUMBERS, -1, 0.5],
    combine: ["both", 1, null],
  };
  const accepted = await page.evaluate(async (wrong) => {
    const image_url = new URL("/photos/coffee.png", location.href).href;
    const cases = Object.entries(wrong).flatMap(([field, values]) => values.map((value) => [field, value] as const));
    const odd = cases.map(async ([field, value]) => {
      const input = { image_url, size: 64, ...(field === "point_label" ? { point_prompt: [[1, 1]] } : {}), [field]: value };
      const error: unknown = await tinysam.fal.run("fal-ai/tiny-sam", { input }).catch((error: unknown) => error);
      if (!(error instanceof tinysam.ValidationError)) return [field, String(value), String(error)];
      const stray = error.fieldErrors.filter(({ loc, msg }) => loc[0] !== "body" || loc[1] !== field || msg === "");
      return stray.length > 0 || error.fieldErrors.length === 0 ? [field, String(value), JSON.stringify(error.body)] : undefined;
    });
    return { count: cases.length, odd: (await Promise.all(odd)).filter((told) => told !== undefined) };
  }, wrong);
  expect(accepted.odd).toEqual([]);
  expect(accepted.count).toBeGreaterThan(110);
});

test("twenty at once, one of them cancelled in the queue and one in progress", async ({ page }) => {
  const told = await page.evaluate(async () => {
    const { fal } = tinysam;
    const image_url = new URL("/photos/coffee.png", location.href).href;
    const input = (x: number) => ({ image_url, size: 64, point_prompt: [[x, 200]] });
    const submitted = await Promise.all(Array.from({ length: 20 }, (_, index) => fal.queue.submit("fal-ai/tiny-sam", { input: input(10 + 25 * index) })));
    for (const index of [0, 13]) await fal.queue.cancel("fal-ai/tiny-sam", { requestId: submitted[index]!.request_id });
    return Promise.all(
      submitted.map(async ({ request_id: requestId }) => {
        await fal.queue.subscribeToStatus("fal-ai/tiny-sam", { requestId });
        return fal.queue.result("fal-ai/tiny-sam", { requestId }).then(
          ({ data }) => data.image.width as number,
          (error: { status: number }) => error.status,
        );
      }),
    );
  });
  expect(told).toEqual(Array.from({ length: 20 }, (_, index) => (index === 0 || index === 13 ? 499 : 600)));
});

test("a client in a worker", async ({ page, address }) => {
  const told = await page.evaluate(async (module) => {
    const program = `
      import { configure, fal } from ${JSON.stringify(module)};
      configure({ weights: new URL("/models/formula.safetensors", ${JSON.stringify(location.href)}), device: "cpu" });
      const image_url = new URL("/photos/coffee.png", ${JSON.stringify(location.href)}).href;
      fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size: 64, point_prompt: [[300, 200]] } }).then(
        ({ data }) => postMessage(data.image.width),
        (error) => postMessage(String(error)),
      );`;
    const worker = new Worker(URL.createObjectURL(new Blob([program], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  }, `${address}/bare/tinysam/index.js`);
  expect(told).toBe(600);
});
