// node adapter.mjs MODULE: the adapter that the engine will get, and the configurations of kernels that the module has.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import "./harness/dawn.mjs";

const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
if (adapter === null) {
  console.error("Dawn finds no Vulkan device here: install the GPU's Vulkan driver, or let VK_DRIVER_FILES name its JSON");
  process.exit(1);
}
const folder = process.argv[2];
const module = await import(pathToFileURL(join(folder, "tinysam.js")));
await module.default({ module_or_path: readFileSync(join(folder, "tinysam_bg.wasm")) });
const { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize, isFallbackAdapter } = adapter.info;
const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
const facts = {
  info: { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize, isFallbackAdapter },
  features: [...adapter.features].filter((name) => /timestamp|f16|subgroups/.test(name)),
  limits: { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize },
  configurations: module.Engine.kernelNames?.() ?? [],
};
console.log(JSON.stringify(facts));
process.exit(0);
