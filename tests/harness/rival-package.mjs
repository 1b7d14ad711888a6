// A contestant of rival.mjs: the package in its page, with several workers.
import { packaged } from "./package.mjs";

const address = (path) => new URL(`../${path}`, import.meta.url).href;

/** Opens, and does each thing once; or the time of a thing: as rival-worker.mjs. */
export function contestant(workers) {
  let does;
  return async (verb, times) => {
    if (verb === "open") {
      does = await open(workers);
      await does.encode();
      await does.prompt();
      return null;
    }
    const start = performance.now();
    for (let time = 0; time < times; time++) await does[verb]();
    return performance.now() - start;
  };
}

async function open(workers) {
  const { size, image: { width, height } } = await (await fetch(address("job.json"))).json();
  const image = new ImageData(new Uint8ClampedArray(await (await fetch(address("image"))).arrayBuffer()), width, height);
  const { Engine } = packaged(await import(address("package/engine.js")), workers);
  const engine = await Engine.load(address("weights"));
  let embedding;
  return {
    encode: async () => {
      embedding?.free();
      embedding = await engine.embed(image, size);
    },
    prompt: async () => (await embedding.segment([{ points: [[width / 3, height / 3]], labels: [1] }])).forEach((mask) => mask.free()),
  };
}
