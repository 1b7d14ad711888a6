// Node as a browser's module finds a page: with WebGPU, which is Dawn, Chromium's own, on a Vulkan driver of the machine.
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
const gpu = create(["backend=vulkan"]);
Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node" }, configurable: true });
// wgpu's web backend asks whether it runs in a Window or in a worker.
globalThis.window = globalThis;
globalThis.Window = class {
  static [Symbol.hasInstance](value) {
    return value === globalThis;
  }
};
globalThis.ImageData ??= class ImageData {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height, colorSpace: "srgb" });
  }
};
