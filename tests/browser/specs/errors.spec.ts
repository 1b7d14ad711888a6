import { expect, test } from "../fixtures.ts";

test("errors have codes, and sentences", async ({ app, errors }) => {
  errors.expectError(/status of 404|ERR_|CORS/);
  const page = await app.open();
  const codes = await page.evaluate(async () => {
    const failures: Record<string, string> = {};
    const note = async (name: string, promise: Promise<unknown>) => {
      failures[name] = await promise.then(
        () => "no error",
        (error) => (error instanceof tinysam.TinySamError && error.message.length > 10 ? error.code : `not ours: ${error}`),
      );
    };
    const load = (options: object) => tinysam.TinySam.load({ size: 64, ...options });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    await note("no such weights", load({ weights: "/models/none.safetensors" }));
    await note("no host", load({ weights: "http://127.0.0.1:1/none.pth" }));
    await note("no URL", load({ weights: "http://" }));
    await note("broken off", load({ weights: "/faulty/cut/models/formula.safetensors" }));
    await note("no checkpoint", load({ weights: photo }));
    await note("empty", load({ weights: new Uint8Array() }));
    await note("another hash", load({ weights: "/models/formula.safetensors", sha256: "00".repeat(32) }));
    await note("bad response", load({ weights: new Response("", { status: 500 }) }));
    await note("no device", load({ weights: "/models/formula.safetensors", device: "webgpu" }));
    await note("odd device", load({ device: "tpu" }));
    await note("odd size", load({ size: 100 }));

    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    await note("no such photo", sam.embed("/photos/none.png"));
    await note("no photo", sam.embed(new Blob(["no photo"])));
    await note("not a source", sam.embed(42 as never));
    await note("an empty canvas", sam.embed(Object.assign(document.createElement("canvas"), { width: 0 })));
    await note("a broken element", sam.embed(Object.assign(new Image(), { src: "data:image/png,none" })));
    const frame = new VideoFrame(await createImageBitmap(photo), { timestamp: 0 });
    frame.close();
    await note("a closed frame", sam.embed(frame));
    await note("no video yet", sam.embed(document.createElement("video")));
    await note("a huge canvas", sam.embed(Object.assign(document.createElement("canvas"), { width: 17_000, height: 1 })));
    // The same server under another name is another origin, which has not allowed reading.
    const foreign = location.href.replace("127.0.0.1", "localhost").replace(/vite.*/, "photos/coffee.png");
    await note("another origin's URL", sam.embed(foreign));
    await note("another origin's element", sam.embed(Object.assign(new Image(), { src: foreign })));
    await note("odd size of a photo", sam.embed(photo, { size: 63 }));
    const image = await sam.embed(photo);
    await note("no prompt", image.segment({}));
    await note("no numbers", image.segment({ points: [[NaN, 1]] }));
    await note("too few labels", image.segment({ points: [[1, 1], [2, 2]], labels: [1] }));
    await note("an odd label", image.segment({ points: [[1, 1]], labels: [2 as never] }));
    await note("a short mask", image.segment({ points: [[1, 1]], mask: new Float32Array(3) }));
    const [mask] = await image.segment({ points: [[1, 1]] });
    mask!.free();
    mask!.free();
    await note("a freed mask", mask!.logits());
    await note("a freed mask refined", mask!.refine({ points: [[1, 1]] }));
    const [survivor] = await image.segment({ points: [[1, 1]] });
    image.free();
    await note("a freed image", image.segment({ points: [[1, 1]] }));
    await note("everything of a freed image", image.everything().masks);
    await note("refining after the image", survivor!.refine({ points: [[1, 1]] }));
    failures["a mask outlives its image"] = (await survivor!.logits()).length === 256 ? "yes" : "no";
    sam.free();
    await note("a freed model", sam.embed(photo));
    await note("a mask of a freed model", survivor!.logits());
    return failures;
  });
  expect(codes).toEqual({
    "no such weights": "checkpoint_unreachable",
    "no host": "checkpoint_unreachable",
    "no URL": "checkpoint_unreachable",
    "broken off": "checkpoint_unreachable",
    "no checkpoint": "checkpoint_invalid",
    empty: "checkpoint_invalid",
    "another hash": "checkpoint_hash",
    "bad response": "checkpoint_unreachable",
    "no device": "device_unavailable",
    "odd device": "option_invalid",
    "odd size": "option_invalid",
    "no such photo": "image_unreachable",
    "no photo": "image_invalid",
    "not a source": "image_invalid",
    "an empty canvas": "image_invalid",
    "a broken element": "image_invalid",
    "a closed frame": "image_invalid",
    "no video yet": "image_invalid",
    "a huge canvas": "image_too_large",
    "another origin's URL": "image_unreachable",
    "another origin's element": "image_unreachable",
    "odd size of a photo": "option_invalid",
    "no prompt": "prompt_invalid",
    "no numbers": "prompt_invalid",
    "too few labels": "prompt_invalid",
    "an odd label": "prompt_invalid",
    "a short mask": "prompt_invalid",
    "a freed mask": "released",
    "a freed mask refined": "released",
    "a freed image": "released",
    "everything of a freed image": "released",
    "refining after the image": "released",
    "a mask outlives its image": "yes",
    "a freed model": "released",
    "a mask of a freed model": "released",
  });
});

test("a worker that cannot be fetched is told from one that crashed", async ({ app, page, errors }) => {
  errors.expectError(/ERR_FAILED/);
  await page.route("**/worker-cpu*.js", (route) => route.abort());
  await app.open();
  const failure = await page.evaluate(() =>
    tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu" }).catch(({ code, message }) => ({ code, message })),
  );
  expect(failure).toMatchObject({ code: "unsupported", message: expect.stringContaining("worker-src") });
});

test("weights that no network can use are not kept", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const address = new URL("/models/unusable.safetensors", location.href).href;
    const good = await (await fetch("/models/formula.safetensors")).arrayBuffer();
    const start = 8 + Number(new DataView(good).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(good, 8, start - 8)));
    const truly = globalThis.fetch;
    const names = async () => {
      const caches = await Promise.all((await globalThis.caches.keys()).map((name) => globalThis.caches.open(name)));
      return (await Promise.all(caches.map((cache) => cache.keys()))).flat().filter(({ url }) => url === address).length;
    };
    /** Loads the weights with one value of a tensor changed. */
    const load = async (tensor: string, value: number) => {
      const bytes = good.slice(0);
      new DataView(bytes).setFloat32(start + header[tensor].data_offsets[0], value, true);
      globalThis.fetch = async (request, init) =>
        new Request(request, init).url === address ? new Response(bytes, { headers: { etag: `"${tensor}"` } }) : truly(request, init);
      // Without a worker, so that the module's `fetch` is this one.
      const outcome = await tinysam.TinySam.load({ weights: address, device: "cpu", size: 64, worker: false }).then(
        (sam) => (sam.free(), "loaded"),
        ({ code }) => code,
      );
      return [outcome, await names()];
    };
    try {
      return {
        notANumber: await load("mask_decoder.iou_token.weight", NaN),
        negative: await load("image_encoder.patch_embed.seq.0.bn.running_var", -1),
        good: await load("mask_decoder.iou_token.weight", 0.5),
      };
    } finally {
      globalThis.fetch = truly;
    }
  });
  expect(run).toEqual({
    notANumber: ["checkpoint_invalid", 0],
    negative: ["checkpoint_mismatch", 0],
    good: ["loaded", 1],
  });
});
