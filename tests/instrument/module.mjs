// node module.mjs JOB: the browser's WebGPU module on a device that executes nothing. What it asks of WebGPU is counted,
// what it does on the CPU is timed, and what the device's compiler makes of its kernels is noted. JOB is described in
// xtask/src/gpu/run.rs, and so is what is written to its `out`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import "../harness/dawn.mjs";
import { deviceDescriptor, shaders } from "./calls.mjs";
import { compile } from "./compile.mjs";
import { measured, repeatedly } from "./measured.mjs";

/** Embeddings that are kept at once, to see what each holds. */
const KEPT = 5;

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const module = await import(pathToFileURL(join(job.module, "tinysam.js")));
const wasm = readFileSync(join(job.module, "tinysam_bg.wasm"));
await module.default({ module_or_path: wasm });
const { size } = job;
const picture = new ImageData(new Uint8ClampedArray(4 * size * size).fill(90), size, size);
const prompt = { points: [[size / 3, size / 3]], labels: [1] };

// Unchecked, for a device that executes nothing does not know the known answers.
const options = { cache: false, forceSoftware: true, unchecked: true, kernels: job.kernels };
const weights = new Uint8Array(readFileSync(job.weights));
const [engine, load] = await measured(() => module.Engine.load(weights, options, undefined, undefined));
const embed = () => engine.embed(picture, size);
const segment = async (embedding) => (await embedding.segment([prompt], undefined)).forEach((mask) => mask.free());

let [embedding, firstEncode] = await measured(embed);
const encode = await repeatedly(job.runs, async () => {
  embedding.free();
  embedding = await embed();
});
const [, firstDecode] = await measured(() => segment(embedding));
const decode = await repeatedly(job.runs, () => segment(embedding));
const kept = [];
// Held, because one that is out of reach is freed some day.
const held = [embedding];
while (held.length < KEPT) {
  const [, took] = await measured(async () => {
    held.push(await embed());
    await segment(held.at(-1));
  });
  kept.push(took.bytes);
}
const used = (runs) => runs.at(-1).dispatches.map(([shader]) => shader);
const dispatched = [...new Set([...used(encode), ...used(decode)])];
const compiled = await compile(dispatched.map((index) => shaders[index]), deviceDescriptor, `${job.out}.log`);
const kernels = compiled.map((kernel, at) => ({ ...kernel, shader: dispatched[at], code: shaders[dispatched[at]].code }));
const facts = {
  adapter: engine.adapter,
  exports: WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map(({ name }) => name),
  configurations: module.Engine.kernelNames?.() ?? [],
  chosen: engine.kernels ?? "",
  load,
  firstEncode,
  encode,
  firstDecode,
  decode,
  kept,
  kernels,
};
writeFileSync(job.out, JSON.stringify(facts));
// Dawn keeps the event loop alive.
process.exit(0);
