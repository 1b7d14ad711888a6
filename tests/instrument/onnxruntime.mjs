// node onnxruntime.mjs JOB: onnxruntime-web's WebGPU provider on a device that executes nothing, counted and timed as
// module.mjs does it with the engine. JOB is described in xtask/src/gpu/onnxruntime.rs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "../harness/dawn.mjs";
import { measured, repeatedly } from "./measured.mjs";

// Its memory is shared, which Dawn's writeBuffer in Node does not take and a browser's does.
const writeBuffer = GPUQueue.prototype.writeBuffer;
GPUQueue.prototype.writeBuffer = function (buffer, offset, data, start = 0, length = data.byteLength - start) {
  const own = new Uint8Array(new Uint8Array(data.buffer ?? data, (data.byteOffset ?? 0) + start, length));
  return writeBuffer.call(this, buffer, offset, own, 0, length);
};

// Not by the package's name: under Node that would be its build without WebGPU.
const root = join(import.meta.dirname, "node_modules/onnxruntime-web");
const ort = await import(join(root, "dist/ort.webgpu.min.mjs"));
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { size } = job;
const open = (name) =>
  ort.InferenceSession.create(readFileSync(join(job.models, `${name}.onnx`)), { executionProviders: ["webgpu"] });
const tensor = (type, shape, data) => new ort.Tensor(type, data, shape);
const pixels = tensor("float32", [1, 3, size, size], new Float32Array(3 * size * size).fill(90));
const coords = tensor("float32", [1, 2, 2], new Float32Array([size / 3, size / 3, 0, 0]));
const labels = tensor("int64", [1, 2], new BigInt64Array([1n, -1n]));

// Not timed: most of it is Node compiling their 27 MB of WebAssembly, which a browser does otherwise.
const encoder = await open("encoder");
const decoder = await open("decoder");
const encode = () => encoder.run({ pixels });
const [{ embedding }, firstEncode] = await measured(encode);
const decode = () => decoder.run({ embedding, coords, labels });
const encodes = await repeatedly(job.runs, encode);
const [, firstDecode] = await measured(decode);
const decodes = await repeatedly(job.runs, decode);
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
writeFileSync(job.out, JSON.stringify({ version, firstEncode, encode: encodes, firstDecode, decode: decodes }));
process.exit(0);
