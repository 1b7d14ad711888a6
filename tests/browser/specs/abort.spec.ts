import { expect, test } from "../fixtures.ts";

test("loading stops while weights download", async ({ app }) => {
  const page = await app.open();
  const result = await page.evaluate(async () => {
    const controller = new AbortController();
    const phases: string[] = [];
    const loading = tinysam.TinySam.load({
      weights: "/faulty/stall/models/formula.safetensors",
      signal: controller.signal,
      onProgress: ({ phase, loaded }) => {
        phases.push(phase);
        if (phase === "download" && (loaded ?? 0) > 1e6) controller.abort("enough");
      },
    });
    return loading.then(
      () => undefined,
      (error) => ({ code: error.code, cause: error.cause, phases: [...new Set(phases)], kept: error instanceof tinysam.TinySamError }),
    );
  });
  expect(result).toEqual({ code: "aborted", cause: "enough", phases: ["module", "download"], kept: true });
  // Workers of a load that was stopped do not stay.
  await expect.poll(() => page.workers().length).toBe(0);
});

test("loading stops in every later phase, and can be done again", async ({ app }) => {
  const page = await app.open();
  const codes = await page.evaluate(async () => {
    const load = (stopAt: string) => {
      const controller = new AbortController();
      return tinysam.TinySam.load({
        weights: "/models/formula.safetensors",
        size: 64,
        signal: controller.signal,
        onProgress: ({ phase }) => phase === stopAt && controller.abort(),
      }).then(
        (sam) => (sam.free(), "loaded"),
        (error) => error.code as string,
      );
    };
    const controller = new AbortController();
    controller.abort();
    const before = await tinysam.TinySam.load({ signal: controller.signal }).catch((error) => error.code as string);
    return [before, await load("module"), await load("prepare"), await load("never")];
  });
  expect(codes).toEqual(["aborted", "aborted", "aborted", "loaded"]);
});

test("embedding and segmenting stop: before they start, waiting, and running", async ({ app }) => {
  const page = await app.open();
  const result = await page.evaluate(async () => {
    const code = (promise: Promise<unknown>) => promise.then(() => "done", (error) => error.code as string);
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 512 });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const over = AbortSignal.abort();

    const before = await code(sam.embed(photo, { signal: over }));
    const running = new AbortController();
    const waiting = new AbortController();
    const first = code(sam.embed(photo, { signal: running.signal }));
    const second = code(sam.embed(photo, { signal: waiting.signal }));
    const third = sam.embed(photo);
    waiting.abort();
    setTimeout(() => running.abort(), 30);
    const begun = performance.now();
    const firstCode = await first;
    const waited = performance.now() - begun;
    const image = await third;
    const served = performance.now() - begun;

    const segmentBefore = await code(image.segment({ points: [[9, 9]] }, { signal: over }));
    const segmenting = new AbortController();
    const one = code(image.segment({ points: [[9, 9]] }, { signal: segmenting.signal }));
    const two = code(image.segment({ points: [[9, 9]] }, { signal: segmenting.signal }));
    segmenting.abort();
    const after = await code(image.segment({ points: [[9, 9]] }));
    return { before, first: firstCode, second: await second, waited, served, segmentBefore, one: await one, two: await two, after };
  });
  expect(result).toMatchObject({
    before: "aborted",
    first: "aborted",
    second: "aborted",
    segmentBefore: "aborted",
    one: "aborted",
    two: "aborted",
    after: "done",
  });
  // The caller is let go at once, even where the engine cannot stop in the middle of a step.
  expect(result.waited).toBeLessThan(result.served / 4);
});

test("an encode in the page's own thread lets it live, and is stopped by it", async ({ app }) => {
  const page = await app.open();
  const result = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu", size: 512, worker: false });
    const photo = new ImageData(512, 512);
    /** Turns of the page's event loop until `work` is done; `at` is called with the number of each. */
    const turns = async (work: Promise<unknown>, at: (turn: number) => void = () => {}) => {
      let [count, done] = [0, false];
      const turn = () => {
        if (done) return;
        at((count += 1));
        setTimeout(turn);
      };
      setTimeout(turn);
      await work.finally(() => (done = true));
      return count;
    };
    const whole = await turns(sam.embed(photo));
    const controller = new AbortController();
    const code = sam.embed(photo, { signal: controller.signal }).then(
      () => "done",
      (error) => error.code as string,
    );
    // What comes next begins when the engine has let go of what was stopped.
    const stopped = await turns(sam.embed(new ImageData(64, 64), { size: 64 }), (turn) => turn === 3 && controller.abort());
    return { whole, stopped, code: await code };
  });
  expect(result.code).toBe("aborted");
  expect(result.whole).toBeGreaterThan(12);
  expect(result.stopped).toBeLessThan(result.whole);
});

test("newest wins: waiting prompts of a pointer are superseded", async ({ app }) => {
  const page = await app.open();
  const outcomes = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const hover = (x: number) =>
      image.segment({ points: [[x, 200]] }, { latest: true }).then(
        (masks) => `mask of ${masks.length}`,
        (error) => error.code as string,
      );
    return Promise.all([hover(10), hover(20), hover(30), hover(40)]);
  });
  expect(outcomes).toEqual(["mask of 1", "superseded", "superseded", "mask of 1"]);
});

test("an element that loads for ever keeps nobody waiting, and is let go with its call or its model", async ({ app }) => {
  const page = await app.open();
  const outcome = await page.evaluate(async () => {
    const options = { weights: "/models/formula.safetensors", size: 64 };
    const [sam, other] = [await tinysam.TinySam.load(options), await tinysam.TinySam.load(options)];
    const stuck = () => {
      const image = document.createElement("img");
      image.decode = () => new Promise(() => undefined);
      // Below what is seen, it loads when somebody scrolls to it.
      Object.defineProperty(image, "complete", { value: false });
      return image;
    };
    const code = (promise: Promise<unknown>) => promise.then(() => "done", (error) => error.code as string);
    const stop = new AbortController();
    const called = code(sam.embed(stuck(), { signal: stop.signal }));
    const waiting = code(sam.embed(stuck()));
    const saved = await (await sam.embed("/photos/coffee.png")).toBytes();
    const restoring = code(sam.restore(saved, { photo: stuck() }));
    stop.abort();
    sam.free();
    return [await called, await waiting, await restoring, (await other.embed("/photos/coffee.png")).width];
  });
  expect(outcome).toEqual(["aborted", "released", "released", 600]);
});
