// A contestant of rival.mjs in its page's worker: onnxruntime-web with as many `?threads` as are asked for, or the engine.
//
// Each encodes the same pixels and answers the same click. Ours scales the photo before, and gives the mask at the photo's
// size after; theirs is given the model's input, and gives the model's output.

/** Of the low-res logits, relative RMS: above it, it is another model. Two that agree stay far below. */
const SAME = 1e-3;
/** The mean of the data that the model was trained on, which stands where there is no picture. */
const MEAN = [123.675, 116.28, 103.53];

const address = (path) => new URL(`../${path}`, import.meta.url).href;

async function get(path) {
  const answer = await fetch(address(path));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

const bytes = async (path) => (await get(path)).arrayBuffer();

async function keep(name, data) {
  const answer = await fetch(address(`kept/${name}`), { method: "POST", body: data });
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
}

async function tinysam({ size, image: { width, height } }) {
  const module = await import(address("module/tinysam.js"));
  await module.default();
  const engine = await module.Engine.load(address("weights"), { cache: false, forceSoftware: true });
  const image = new ImageData(new Uint8ClampedArray(await bytes("image")), width, height);
  const click = { points: [[width / 3, height / 3]], labels: [1] };
  const pending = [];
  await engine.trace(image, size, { click }, (name, shape, data) => {
    if (name === "resized_u8") pending.push(keep("shape", new Float32Array(shape)));
    if (["resized_u8", "click.coords_model", "click.low_res"].includes(name)) pending.push(keep(name, data.slice()));
  });
  await Promise.all(pending);
  let embedding;
  return {
    deviation: null,
    encode: async () => {
      embedding?.free();
      embedding = await engine.embed(image, size);
    },
    prompt: async () => (await embedding.segment([click])).forEach((mask) => mask.free()),
  };
}

async function onnxruntime({ size }, threads) {
  if (threads > 1 && !crossOriginIsolated) throw new Error("the page is not isolated: there would be one thread");
  const ort = await import(address("onnxruntime/ort.wasm.min.mjs"));
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const open = async (name) =>
    ort.InferenceSession.create(new Uint8Array(await bytes(`models/${name}.onnx`)), { executionProviders: ["wasm"] });
  const encoder = await open("encoder");
  const decoder = await open("decoder");
  const floats = async (name) => new Float32Array(await bytes(`kept/${name}`));
  const pixels = new ort.Tensor("float32", planes(await floats("resized_u8"), await floats("shape"), size), [1, 3, size, size]);
  // A point without a box is followed by padding.
  const coords = new ort.Tensor("float32", [...(await floats("click.coords_model")), 0, 0], [1, 2, 2]);
  const labels = new ort.Tensor("int64", [1n, -1n], [1, 2]);
  let embedding;
  const encode = async () => ({ embedding } = await encoder.run({ pixels }));
  const prompt = async () => (await decoder.run({ embedding, coords, labels })).masks.data;
  await encode();
  const deviation = relative(await prompt(), await floats("click.low_res"));
  if (!(deviation < SAME)) throw new Error(`onnxruntime-web's logits are ${deviation} from ours: the folder is of other weights`);
  return { deviation, encode, prompt };
}

/** `[height, width, 3]` as `[3, size, size]`. */
function planes(rgb, [height, width], size) {
  const out = new Float32Array(3 * size * size);
  MEAN.forEach((mean, channel) => {
    const plane = out.subarray(channel * size * size, (channel + 1) * size * size).fill(mean);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) plane[y * size + x] = rgb[3 * (y * width + x) + channel];
  });
  return out;
}

/** The RMS of what differs, over that of what is expected. */
function relative(found, expected) {
  if (found.length !== expected.length) return Infinity;
  let [apart, whole] = [0, 0];
  expected.forEach((value, index) => {
    apart += (found[index] - value) ** 2;
    whole += value ** 2;
  });
  return Math.sqrt(apart / whole);
}

let contestant;

/** Opens, and does each thing once that nothing be done for the first time when it is timed; or the time of a thing. */
async function answer({ verb, times }) {
  if (verb === "open") {
    const threads = new URLSearchParams(location.search).get("threads");
    const job = await (await get("job.json")).json();
    contestant = threads === null ? await tinysam(job) : await onnxruntime(job, Number(threads));
    await contestant.encode();
    await contestant.prompt();
    return contestant.deviation;
  }
  const start = performance.now();
  for (let time = 0; time < times; time++) await contestant[verb]();
  return performance.now() - start;
}

onmessage = ({ data }) => {
  answer(data).then(
    (answer) => postMessage({ answer }),
    (error) => postMessage({ error: `${error?.code ?? error?.name}: ${error?.message ?? error}\n${error?.stack ?? ""}` }),
  );
};
