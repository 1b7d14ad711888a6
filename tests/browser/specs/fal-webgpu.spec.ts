/** fal's door on WebGPU: on SwiftShader, which the door takes only when it is told to. */
import { KEY, expect, test } from "../fal.ts";

/** Put before the worker's own script: its GPU goes away in the middle of a request. */
const LOSE = `
  let asked = false;
  addEventListener("message", ({ data }) => (asked ||= data.name === "answer"));
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...how) {
    const device = await requestDevice.apply(this, how);
    device.queue.submit = (...buffers) => {
      if (asked) device.destroy();
      return GPUQueue.prototype.submit.apply(device.queue, buffers);
    };
    return device;
  };`;

async function ask(page: import("@playwright/test").Page) {
  return page.evaluate(async () => {
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
    return { outcome, logs, served: served.map(({ backend }) => backend) };
  });
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
  errors.expectError(/lost|destroyed|poisoned/i);
  let losses = 0;
  await page.context().route(/\/worker-webgpu[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (losses-- > 0 ? LOSE : "") + (await response.text()) });
  });
  await door.open({ device: "webgpu", fallback: true });
  losses = 1;
  const once = await ask(page);
  expect(once.served).toEqual(["webgpu"]);
  expect(once.outcome).toEqual({ url: expect.stringMatching(/^blob:/), width: 600, height: 400 });
  expect(once.logs).toContainEqual(expect.stringMatching(/lost.*trying again/s));
  expect(standIn.arrivals).toEqual([]);

  await door.open({ device: "webgpu", fallback: true });
  losses = 2;
  const twice = await ask(page);
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
  await door.open({ device: "webgpu" });
  losses = 2;
  const alone = await ask(page);
  expect(alone.outcome).toEqual({ status: 503, message: expect.stringMatching(/This device cannot serve the request: .*lost.*`fallback`/s) });
  expect(standIn.arrivals.length).toBe(before);
});
