// What a run does with the engine, wherever it runs: in a page's worker or in Node.
//
// `job` is described in xtask/src/harness.rs; `io` knows where weights and picture come from and where results go.

/** Which elements of a flattened tensor are kept; tests/golden/src/golden.rs says the same. */
function samples(data) {
  const kept = new Float32Array(Math.min(256, data.length));
  for (let j = 0; j < kept.length; j++) kept[j] = data[(7919 * j + 13) % data.length];
  return kept;
}

/** What is compared of a tensor, or undefined where nothing is. */
function reduce(name, shape, data, want) {
  if (want === undefined) return undefined;
  let sum = 0;
  let square = 0;
  for (const value of data) {
    sum += value;
    square += value * value;
  }
  const values = want === "whole" ? data.slice() : samples(data);
  // JSON has no NaN: text has.
  return { name, shape: Array.from(shape), sum: String(sum), l2: String(Math.sqrt(square)), values };
}

async function load(module, job, io) {
  const options = { cache: false, forceSoftware: true, kernels: job.kernels };
  return module.Engine.load(await io.weights(), options, undefined, undefined);
}

/** Runs the prompts of a golden and hands every tensor that is compared to `io.observe`. */
export async function trace(module, job, io) {
  const engine = await load(module, job, io);
  const prompts = Object.fromEntries(job.prompts.map(({ name, prompt }) => [name, prompt]));
  const pending = [];
  await engine.trace(await io.image(), job.size, prompts, (name, shape, data) => {
    const reduced = reduce(name, shape, data, job.want[name]);
    if (reduced) pending.push(io.observe(reduced));
  });
  await Promise.all(pending);
  return { backend: engine.backend, adapter: engine.adapter };
}

/** Runs the everything mode and returns its masks as tests/golden/src/everything.rs names them. */
export async function everything(module, job, io) {
  const engine = await load(module, job, io);
  const embedding = await engine.embed(await io.image(), job.size);
  let points = 0;
  const masks = await embedding.everything(job.everything, (batch) => (points = batch.done));
  const found = masks.map((mask) => ({
    area: Number(mask.area),
    bbox: Array.from(mask.bbox),
    predictedIou: mask.score,
    point: Array.from(mask.point),
    stabilityScore: mask.stability,
    counts: Array.from(mask.counts()),
  }));
  return { backend: engine.backend, adapter: engine.adapter, points, masks: found };
}

/** Times in milliseconds. */
export async function bench(module, job, io) {
  const times = { load: [], firstEncode: [], encode: [], decode1: [], decode16: [], decode64: [], everything: [] };
  const timed = async (into, work) => {
    const start = performance.now();
    const result = await work();
    times[into].push(performance.now() - start);
    return result;
  };
  const image = await io.image();
  const engine = await timed("load", () => load(module, job, io));
  const boxes = Array.from({ length: 64 }, (_, index) => [
    ((index % 8) * image.width) / 9,
    (Math.floor(index / 8) * image.height) / 9,
    image.width / 4,
    image.height / 4,
  ]);
  const free = (masks) => masks.forEach((mask) => mask.free());

  let embedding = await timed("firstEncode", () => engine.embed(image, job.size));
  for (let run = 0; run < job.runs; run++) {
    embedding.free();
    embedding = await timed("encode", () => engine.embed(image, job.size));
  }
  const prompts = { decode1: 1, decode16: 16, decode64: 64 };
  for (const [into, count] of Object.entries(prompts)) {
    const asked = boxes.slice(0, count).map((box) => ({ box }));
    free(await embedding.segment(asked));
    for (let run = 0; run < job.runs; run++) await timed(into, async () => free(await embedding.segment(asked)));
  }
  let points = 0;
  const found = await timed("everything", () => embedding.everything(job.everything, (batch) => (points = batch.done)));
  free(found);
  const facts = { backend: engine.backend, adapter: engine.adapter, kernels: engine.kernels, memory: await io.memory(engine), times, points };
  embedding.free();
  engine.free();
  return facts;
}

export const kinds = { trace, everything, bench };
