// What something took: milliseconds as they passed and of the processor, and what was asked of WebGPU.
import { take } from "./calls.mjs";

/** What `work` came to, and what it took. */
export async function measured(work) {
  take();
  const processor = process.cpuUsage();
  const start = performance.now();
  const result = await work();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(processor);
  return [result, { wall, cpu: (user + system) / 1000, ...take() }];
}

/** What each of many runs took. */
export async function repeatedly(runs, work) {
  const all = [];
  for (let run = 0; run < runs; run++) all.push((await measured(work))[1]);
  return all;
}
