// A job in a page of the harness's, or in its worker.
import { kinds } from "./engine.mjs";

const response = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer;
};

/** A file is given as it is, for the browser to decode; raw pixels are made ImageData. */
async function image(job) {
  const blob = await (await response("/image")).blob();
  if (job.kind === "trace" && job.image.encoded) return blob;
  if (job.image.encoded) return createImageBitmap(blob);
  return new ImageData(new Uint8ClampedArray(await blob.arrayBuffer()), job.image.width, job.image.height);
}

async function post(url, body) {
  const answer = await fetch(url, { method: "POST", body });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
}

/** `open` gives the module for a job, and bytes of its memory when it is asked. */
export async function run(open) {
  const job = await (await response("/job.json")).json();
  const { module, memory } = await open(job);
  const io = {
    weights: () => new URL("/weights", location.href).href,
    image: () => image(job),
    observe: ({ values, ...meta }) => post(`/observe?${encodeURIComponent(JSON.stringify(meta))}`, values),
    memory,
  };
  return kinds[job.kind](module, job, io);
}
