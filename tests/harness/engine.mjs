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
  const options = { cache: false, forceSoftware: true };
  return module.Engine.load(await io.weights(), options, undefined, undefined);
}

/** The best low-res mask among what a prompt gave. */
function bestLowRes({ low_res: masks, iou: scores }) {
  const best = scores.values.indexOf(Math.max(...scores.values));
  const length = masks.values.length / scores.values.length;
  return masks.values.slice(best * length, (best + 1) * length);
}

/**
 * Runs the prompts of a golden and hands every tensor that is compared to `io.observe`. A prompt that takes another
 * one's mask runs in a later pass, when that mask is known.
 */
export async function trace(module, job, io) {
  const engine = await load(module, job, io);
  const image = await io.image();
  const sources = new Map(job.prompts.filter((p) => p.maskFrom).map((p) => [p.maskFrom, {}]));
  let left = job.prompts;
  while (left.length > 0) {
    const ready = (p) => !p.maskFrom || sources.get(p.maskFrom).low_res;
    const pass = left.filter(ready);
    if (pass.length === 0) throw new Error(`no mask for ${left.map((p) => p.name)}`);
    const first = left === job.prompts;
    left = left.filter((p) => !ready(p));
    const prompts = Object.fromEntries(
      pass.map((p) => [p.name, p.maskFrom ? { ...p.prompt, mask: bestLowRes(sources.get(p.maskFrom)) } : p.prompt]),
    );
    const pending = [];
    await engine.trace(image, job.size, prompts, (name, shape, data) => {
      const [, prompt, part] = name.match(/^(.*)\.(.*)$/) ?? [];
      if (!first && !(prompt in prompts)) return;
      if (sources.has(prompt) && (part === "low_res" || part === "iou")) {
        sources.get(prompt)[part] = { values: data.slice() };
      }
      const reduced = reduce(name, shape, data, job.want[name]);
      if (reduced) pending.push(io.observe(reduced));
    });
    await Promise.all(pending);
  }
  const facts = { backend: engine.backend, adapter: engine.adapter };
  engine.free();
  return facts;
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
  const times = { load: [], firstEncode: [], encode: [], decode1: [], decode16: [] };
  const timed = async (into, work) => {
    const start = performance.now();
    const result = await work();
    times[into].push(performance.now() - start);
    return result;
  };
  const image = await io.image();
  const engine = await timed("load", () => load(module, job, io));
  const point = { points: [[image.width * 0.3, image.height * 0.4]], labels: [1] };
  const boxes = Array.from({ length: 16 }, (_, index) => [
    ((index % 4) * image.width) / 5,
    (Math.floor(index / 4) * image.height) / 5,
    image.width / 4,
    image.height / 4,
  ]);
  const free = (masks) => masks.forEach((mask) => mask.free());

  // A GPU still works when `embed` returns: an encode ends with the first mask, less what a mask costs.
  const encode = async (into) => {
    let embedding;
    await timed(into, async () => {
      embedding = await engine.embed(image, job.size);
      free(await embedding.segment(point));
    });
    return embedding;
  };
  let embedding = await encode("firstEncode");
  for (let run = 0; run < job.runs; run++) await timed("decode1", async () => free(await embedding.segment(point)));
  free(await embedding.segment({ boxes }));
  for (let run = 0; run < job.runs; run++) await timed("decode16", async () => free(await embedding.segment({ boxes })));
  for (let run = 0; run < job.runs; run++) {
    embedding.free();
    embedding = await encode("encode");
  }
  const facts = { backend: engine.backend, adapter: engine.adapter, memory: io.memory(), times };
  embedding.free();
  engine.free();
  return facts;
}

export const kinds = { trace, everything, bench };
