// node node.mjs JOB: runs a job in Node, on Dawn, which is Chromium's own WebGPU: the browser's module on whatever
// Vulkan driver the machine has, without a browser.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import "./dawn.mjs";
import { kinds } from "./engine.mjs";
import { Results } from "./results.mjs";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = new Results(job.out);

// The engine logs what WebGPU refuses: that fails the run, as in the browser.
const faults = [];
const log = console.error;
console.error = (...words) => {
  faults.push(words.join(" "));
  log(...words);
};

const module = await import(pathToFileURL(join(job.module, "tinysam.js")));
const bytes = readFileSync(join(job.module, "tinysam_bg.wasm"));
const { memory } = await module.default({ module_or_path: bytes });
const { path, width, height } = job.image;
const io = {
  weights: () => new Uint8Array(readFileSync(job.weights)),
  image: () => new ImageData(new Uint8ClampedArray(readFileSync(path)), width, height),
  observe: ({ values, ...meta }) => results.add(meta, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  memory: () => memory.buffer.byteLength,
};
const facts = await kinds[job.kind](module, job, io);
if (faults.length > 0) process.exit(1);
results.finish(facts);
// Dawn keeps the event loop alive.
process.exit(0);
