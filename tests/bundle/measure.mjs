// Verifies and measures the WebGPU module on this machine's GPU; measure.sh says how to call it. `cargo xtask bundle-gpu`
// puts this beside what it needs.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { Judge, default as initJudge, weights } from "./judge/tinysam_judge.js";

const SIDES = [256, 512, 1024];
/** A job that takes longer is given up: minutes of a software adapter, hours of a GPU. */
const LIMIT_MS = 30 * 60_000;

const here = import.meta.dirname;
const at = (...path) => join(here, ...path);
const json = (...path) => JSON.parse(readFileSync(at(...path), "utf8"));
const about = json("about.json");
const sides = process.argv.length > 2 ? process.argv.slice(2).map(Number) : SIDES;
if (sides.some((side) => !(side >= 64 && side <= 1024 && side % 64 === 0))) {
  console.error("a side of the model's input is a multiple of 64, at most 1024");
  process.exit(1);
}
await initJudge({ module_or_path: readFileSync(at("judge/tinysam_judge_bg.wasm")) });
if (!existsSync(at("weights.safetensors"))) {
  console.error("writing the formula checkpoint");
  writeFileSync(at("weights.safetensors"), weights(0));
}

/** A script of its own, so that a GPU that fails does so alone. Answers what it printed. */
function run(script, ...given) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [at(script), ...given], { timeout: LIMIT_MS });
    let out = "";
    let errors = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(out);
      const lines = errors.split("\n").filter((line) => /[a-z]/i.test(line) && !/^\s+at /.test(line));
      const reason = lines.find((line) => /error|panicked|lost|memory/i.test(line)) ?? lines.at(-1) ?? "";
      const end = signal === null ? `ended with ${code}` : `was stopped by ${signal}`;
      reject(Object.assign(new Error(`${end}: ${reason.trim()}`), { errors }));
    });
  });
}

/** A job of tests/harness: what it found, and its tensors. */
async function job(name, size, kernels) {
  const out = at("run");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  const image = { ...about.picture, path: at("picture.rgba") };
  const inputs = { module: at("module"), weights: at("weights.safetensors"), image, out };
  const described = { ...json("jobs", `${name}.json`), size, kernels, ...inputs };
  writeFileSync(join(out, "job.json"), JSON.stringify(described));
  await run("harness/node.mjs", join(out, "job.json"));
  const { facts, tensors } = JSON.parse(readFileSync(join(out, "tensors.json"), "utf8"));
  const data = readFileSync(join(out, "tensors.bin"));
  let start = 0;
  const named = tensors.map((tensor) => {
    const bytes = data.buffer.slice(data.byteOffset + start, data.byteOffset + start + 4 * tensor.count);
    start += 4 * tensor.count;
    return { ...tensor, values: new Float32Array(bytes) };
  });
  return { facts, tensors: named };
}

const failures = [];
/** A row of a table, or one that says what went wrong. */
async function row(what, columns, cells) {
  console.error(what);
  try {
    const found = cells(await columns());
    console.error(`  ${found.join(" · ")}`);
    return found;
  } catch (error) {
    failures.push(`${what}: ${error.message}`);
    if (error.errors) console.error(error.errors);
    return [`failed: ${error.message.replaceAll("|", "\\|").slice(0, 200)}`];
  }
}

async function verified(side, kernels) {
  const { tensors } = await job(`verify-${side}`, side, kernels);
  const judge = new Judge(readFileSync(at("goldens", `${side}.json`)), readFileSync(at("goldens", `${side}.safetensors`)));
  for (const { name, shape, values, sum, l2 } of tensors) {
    judge.observe(name, Uint32Array.from(shape), values, Number(sum), Number(l2));
  }
  const verdict = judge.verdict();
  if (!verdict.passed) {
    failures.push(`verify at ${side}, kernels ${kernels ?? "chosen"}:\n${verdict.report}`);
  }
  return verdict;
}

function spread(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  const digits = (ms) => (ms < 100 ? ms.toFixed(1) : ms.toFixed(0));
  return sorted.length === 1 ? digits(middle) : `${digits(middle)} (${digits(sorted[0])}–${digits(sorted.at(-1))})`;
}

const timed = ({ times, points }) => [
  ...["load", "firstEncode", "encode", "decode1", "decode16", "decode64"].map((name) => spread(times[name])),
  `${spread(times.everything)}, ${points} points`,
];

const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const adapter = await run("adapter.mjs", at("module")).then(JSON.parse, (error) => {
  console.error(error.errors ?? error.message);
  process.exit(1);
});
// First what the module chooses by itself, then each by name.
const configurations = [undefined, ...adapter.configurations];
const named = (kernels) => kernels ?? "its own choice";

const verdicts = [];
const times = [];
for (const kernels of configurations) {
  for (const side of sides.filter((side) => about.verified.includes(side))) {
    const cells = await row(`verify at ${side}, kernels ${named(kernels)}`, () => verified(side, kernels), (verdict) => [
      verdict.passed ? `${verdict.rows} of ${verdict.rows} within limits` : `**${verdict.failed.length} of ${verdict.rows} not**`,
      verdict.embedding.toExponential(1),
      verdict.logits.toExponential(1),
    ]);
    verdicts.push([named(kernels), side, ...cells]);
  }
  for (const side of sides) {
    let chosen = "";
    const cells = await row(`bench at ${side}, kernels ${named(kernels)}`, () => job("bench", side, kernels), ({ facts }) => {
      if (kernels === undefined && facts.kernels) chosen = `: ${facts.kernels}`;
      return timed(facts);
    });
    times.push([`${named(kernels)}${chosen}`, side, ...cells]);
  }
}
rmSync(at("run"), { recursive: true, force: true });

const { info, features, limits } = adapter;
const facts = [
  ["adapter", `${info.vendor} ${info.architecture} ${info.device}${info.isFallbackAdapter ? " (software)" : ""}`],
  ["driver", info.description],
  ["subgroups, features", `${info.subgroupMinSize}–${info.subgroupMaxSize}; ${features.join(", ")}`],
  ["limits", Object.entries(limits).map(([name, value]) => `${name} ${value}`).join(", ")],
  ["machine", `${type()} ${release()}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB`],
  ["versions", `tinysam ${about.version} (${about.revision}), Dawn of webgpu ${about.dawn}, Node ${process.versions.node}`],
  ["measured", new Date().toISOString().slice(0, 16)],
];
const text = [
  table(["", ""], facts),
  "Against the goldens: image embedding as relative RMS, low-res logits as largest error.",
  table(["kernels", "side", "verdict", "embedding", "logits"], verdicts),
  "Milliseconds: median (least–most).",
  table(["kernels", "side", "load", "first encode", "encode", "1 box", "16 boxes", "64 boxes", "everything"], times),
].join("\n\n");
writeFileSync(at("result.md"), `${text}\n`);
console.log(`${text}`);
if (failures.length > 0) {
  console.error(`\n${failures.join("\n")}`);
  process.exit(1);
}
