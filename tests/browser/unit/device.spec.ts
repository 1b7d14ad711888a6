/** `auto` never throws: whatever is odd about a browser's WebGPU is the CPU, with a reason. */
import { expect, test } from "@playwright/test";
import { chooseDevice } from "../../../pkg/src/device.ts";
import { TinySamError } from "../../../pkg/src/errors.ts";

const INFO = { vendor: "acme", architecture: "one", device: "", description: "" };
const DEVICE = { destroy: () => undefined };
const adapter = (more: object) => ({ info: INFO, requestDevice: async () => DEVICE, ...more });
const giving = (adapter: unknown) => ({ gpu: { requestAdapter: async () => adapter } });
const throwing = (words: string) => () => {
  throw new Error(words);
};
/** A promise that is never kept. */
const never = () => new Promise(() => undefined);

/** What stands in `navigator`, and what the reason for the CPU says. */
const ODD: Record<string, [navigator: unknown, reason: RegExp]> = {
  "no navigator": [undefined, /no WebGPU/],
  "no gpu": [{}, /no WebGPU/],
  "a gpu that is null": [{ gpu: null }, /no WebGPU/],
  "a gpu that may not be asked for": [{ get gpu() { throw new Error("not here"); } }, /not here/],
  "a gpu without methods": [{ gpu: {} }, /gave no adapter/],
  "requestAdapter throws": [{ gpu: { requestAdapter: throwing("no driver") } }, /no driver/],
  "requestAdapter rejects": [{ gpu: { requestAdapter: async () => Promise.reject("blocked") } }, /blocked/],
  "requestAdapter never answers": [{ gpu: { requestAdapter: never } }, /no answer in 10 s/],
  "an adapter that is null": [giving(null), /no adapter on this machine/],
  "an adapter that is undefined": [giving(undefined), /no adapter on this machine/],
  "info throws": [giving({ get info() { throw new Error("hidden"); } }), /hidden/],
  "info has no strings": [giving(adapter({ info: { vendor: null, device: 7 }, requestDevice: throwing("refused") })), /\(unnamed\) refused a device/],
  "no requestDevice": [giving({ info: INFO }), /\(acme one\) refused a device/],
  "requestDevice rejects": [giving(adapter({ requestDevice: async () => Promise.reject(new Error("limits")) })), /acme one.*limits/],
  "requestDevice never answers": [giving(adapter({ requestDevice: never })), /acme one.*no answer/],
  "requestDevice gives nothing": [giving(adapter({ requestDevice: async () => undefined })), /refused a device/],
  "a software adapter": [giving(adapter({ info: { ...INFO, isFallbackAdapter: true } })), /software/],
  "a software adapter by name": [giving(adapter({ info: { ...INFO, description: "SwiftShader" } })), /software/],
};

/** Chooses with this `navigator`; ten seconds pass at once. */
async function choose<T>(navigator: unknown, preference: "auto" | "webgpu", then: (choice: ReturnType<typeof chooseDevice>) => Promise<T>): Promise<T> {
  const truly = { navigator: Object.getOwnPropertyDescriptor(globalThis, "navigator"), setTimeout: globalThis.setTimeout };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  globalThis.setTimeout = ((done: () => void) => truly.setTimeout(done, 0)) as never;
  try {
    return await then(chooseDevice(preference));
  } finally {
    globalThis.setTimeout = truly.setTimeout;
    if (truly.navigator) Object.defineProperty(globalThis, "navigator", truly.navigator);
    else Reflect.deleteProperty(globalThis, "navigator");
  }
}

for (const [name, [navigator, reason]] of Object.entries(ODD)) {
  test(name, async () => {
    const choice = await choose(navigator, "auto", (choice) => choice);
    expect(choice).toEqual({ kind: "cpu", reason: expect.stringMatching(reason), software: false });
    if (/software/.test(name)) return;
    const failure = await choose(navigator, "webgpu", (choice) => choice.catch((error: unknown) => error));
    expect(failure).toBeInstanceOf(TinySamError);
    expect(failure).toMatchObject({ code: "device_unavailable", message: expect.stringMatching(reason) });
  });
}

test("an adapter that tells nothing of itself, but gives a device, is WebGPU", async () => {
  for (const info of [undefined, null, {}]) {
    const choice = await choose(giving(adapter({ info })), "auto", (choice) => choice);
    expect(choice).toEqual({ kind: "webgpu", reason: "a GPU is available (unnamed)", adapter: "unnamed", software: false });
  }
});
