// What a program asks of WebGPU, counted. Imported after Dawn's classes are global and before the program is.

/** Counts since the last `take()`. */
let counts = empty();

/** Every shader of which a pipeline was made: what is needed to make the pipeline again. */
export const shaders = [];

/** The last `requestDevice`'s descriptor. */
export let deviceDescriptor;

/** Of buffers: what was created, less what was destroyed outright. A buffer that is only forgotten goes some day. */
function empty() {
  return { calls: {}, dispatches: [], buffers: 0, bytes: 0 };
}

/** What was counted since it was last asked. */
export function take() {
  const taken = counts;
  counts = empty();
  return taken;
}

/** `before` is called with the arguments, `after` with the result as well. */
function watch(Class, name, { before, after } = {}) {
  const real = Class.prototype[name];
  if (real === undefined) throw new Error(`${Class.name} has no ${name}`);
  Class.prototype[name] = function (...given) {
    counts.calls[name] = (counts.calls[name] ?? 0) + 1;
    before?.call(this, ...given);
    const result = real.apply(this, given);
    after?.call(this, result, ...given);
    return result;
  };
}

const sources = new WeakMap();
const kernels = new WeakMap();
const current = new WeakMap();

/** Of a kernel; CubeCL puts a hash of its constants after it. */
const named = (label) => label.replace(/_n_\d+_[0-9a-f]{8}$/, "");

function made(pipeline, descriptor) {
  const { module, entryPoint, constants } = descriptor.compute;
  const { label, code } = sources.get(module);
  const index = shaders.length;
  shaders.push({ name: named(label || entryPoint || "unnamed"), code, entryPoint, constants });
  const remember = (ready) => kernels.set(ready, index);
  if (pipeline instanceof Promise) pipeline.then(remember, () => {});
  else remember(pipeline);
}

watch(GPUAdapter, "requestDevice", { before: (descriptor) => (deviceDescriptor = descriptor) });
watch(GPUDevice, "createShaderModule", { after: (shader, { label, code }) => sources.set(shader, { label, code }) });
watch(GPUDevice, "createComputePipeline", { after: made });
watch(GPUDevice, "createComputePipelineAsync", { after: made });
watch(GPUDevice, "createBuffer", {
  before: ({ size }) => {
    counts.buffers += 1;
    counts.bytes += size;
  },
});
watch(GPUBuffer, "destroy", {
  before() {
    counts.buffers -= 1;
    counts.bytes -= this.size;
  },
});
watch(GPUComputePassEncoder, "setPipeline", {
  before(pipeline) {
    current.set(this, kernels.get(pipeline));
  },
});
watch(GPUComputePassEncoder, "dispatchWorkgroups", {
  before(x, y = 1, z = 1) {
    counts.dispatches.push([current.get(this), x, y, z]);
  },
});
for (const name of ["createBindGroup", "createCommandEncoder"]) watch(GPUDevice, name);
for (const name of ["submit", "writeBuffer"]) watch(GPUQueue, name);
for (const name of ["beginComputePass", "copyBufferToBuffer", "clearBuffer"]) watch(GPUCommandEncoder, name);
watch(GPUBuffer, "mapAsync");
