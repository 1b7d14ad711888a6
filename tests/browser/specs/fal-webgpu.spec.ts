/** fal's door on WebGPU: on SwiftShader, which the door takes only when it is told to. */
import { KEY, expect, test } from "../fal.ts";

/** Subscribes in the page, which loses so many devices on the way. */
async function ask(page: import("@playwright/test").Page, losses = 0) {
  return page.evaluate(async (losses) => {
    Object.assign(globalThis, { losses });
    const image_url = new URL("/photos/coffee.png", location.href).href;
    const logs: string[] = [];
    const outcome = await tinysam.fal
      .subscribe("fal-ai/tiny-sam", {
        input: { image_url, size: 64, point_prompt: [[300, 200]] },
        logs: true,
        onQueueUpdate: (update) => "logs" in update && logs.splice(0, logs.length, ...update.logs.map(({ message }) => message)),
      })
      .then(
        ({ data }) => ({ url: data.image.url, width: data.image.width, height: data.image.height }),
        (error) => ({ status: error.status as number, message: error.message as string }),
      );
    return { outcome, logs, served: served.splice(0).map(({ backend }) => backend) };
  }, losses);
}

test("a software adapter does not count: fal serves, and nothing of the engine is downloaded", async ({ door, standIn }) => {
  const page = await door.open({ fallback: true });
  const { outcome, logs, served } = await ask(page);
  expect(outcome).toMatchObject({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
  expect(served).toEqual(["fal"]);
  expect(logs[0]).toMatch(/software/);
  expect(door.engine()).toEqual([]);
  expect(standIn.arrivals[0]!.headers.authorization).toBe(`Key ${KEY}`);
});

test("told to, it serves on WebGPU, and nothing is sent", async ({ door, standIn }) => {
  const page = await door.open({ device: "webgpu" });
  const { outcome, logs, served } = await ask(page);
  expect(outcome).toEqual({ url: expect.stringMatching(/^blob:/), width: 600, height: 400 });
  expect(served).toEqual(["webgpu"]);
  expect(logs.at(-1)).toBe("1 mask");
  expect(standIn.arrivals).toEqual([]);
});

test("a device that is lost is got again; lost twice in a request, it sends that to fal byte by byte", async ({ door, page, standIn, errors }) => {
  errors.expectError(/./); // what the engine and the browser say of a lost device is not the door's business
  // The engine on the page's own thread, where its devices can be reached.
  await page.addInitScript(() => {
    const { requestDevice } = GPUAdapter.prototype;
    Object.assign(globalThis, { losses: 0 });
    GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, ...args) {
      const device = await requestDevice.apply(this, args);
      const { submit } = GPUQueue.prototype;
      let submits = 0;
      device.queue.submit = function (this: GPUQueue, ...buffers) {
        submits += 1;
        if (submits === 5 && losses > 0) {
          losses -= 1;
          device.destroy();
        }
        return submit.apply(this, buffers);
      };
      return device;
    };
  });
  await door.open({ device: "webgpu", fallback: true });
  await page.evaluate(() => tinysam.configure({ worker: false }));

  const once = await ask(page, 1);
  expect(once.served).toEqual(["webgpu"]);
  expect(once.outcome).toEqual({ url: expect.stringMatching(/^blob:/), width: 600, height: 400 });
  expect(once.logs).toContainEqual(expect.stringMatching(/trying again/));
  expect(standIn.arrivals).toEqual([]);

  const twice = await ask(page, 2);
  expect(twice.served).toEqual(["webgpu", "fal"]);
  expect(twice.outcome).toMatchObject({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
  expect(twice.logs).toContainEqual(expect.stringMatching(/trying again/));
  const image_url = new URL("/photos/coffee.png", page.url()).href;
  const [submit, ...others] = standIn.arrivals.filter(({ method }) => method === "POST");
  expect(others).toEqual([]);
  expect(submit!.url).toBe("https://queue.fal.run/fal-ai/tiny-sam");
  expect(submit!.body.toString()).toBe(`{"image_url":"${image_url}","size":64,"point_prompt":[[300,200]]}`);
  expect(submit!.headers.authorization).toBe(`Key ${KEY}`);

  const before = standIn.arrivals.length;
  await page.evaluate(() => tinysam.configure({ fallback: false }));
  const alone = await ask(page, 2);
  expect(alone.outcome).toEqual({ status: 500, message: expect.stringMatching(/This device cannot serve the request: .*lost.*`fallback` is false/) });
  expect(standIn.arrivals.length).toBe(before);
});

declare global {
  /** How many more devices the page takes away. */
  var losses: number;
}
