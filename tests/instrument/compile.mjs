// What the null device's compiler makes of shaders: null_vulkan.c appends it to the file NULL_VULKAN_LOG.
import { readFileSync, rmSync, writeFileSync } from "node:fs";

/** `== NAME`, and what belongs to it until the next. */
function parse(log) {
  const [, ...parts] = log.split(/^== /m);
  return Object.fromEntries(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trim()]));
}

/** Compiles each shader by itself on a device of `descriptor`; `log` is a file to be made and removed. */
export async function compile(shaders, descriptor, log) {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice(descriptor);
  process.env.NULL_VULKAN_LOG = log;
  const compiled = [];
  for (const { name, code, entryPoint, constants } of shaders) {
    writeFileSync(log, "");
    const module = device.createShaderModule({ code });
    await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint, constants } });
    const { Assembly: assembly, ...statistics } = parse(readFileSync(log, "utf8"));
    if (assembly === undefined) throw new Error(`the driver told nothing of ${name}`);
    compiled.push({ name, assembly, statistics });
  }
  delete process.env.NULL_VULKAN_LOG;
  rmSync(log);
  return compiled;
}
