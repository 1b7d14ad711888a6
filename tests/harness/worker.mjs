// The engine in a dedicated worker of the harness's page.
import { run } from "./run.mjs";

async function open() {
  const module = await import("/module/tinysam.js");
  const { memory } = await module.default();
  return { module, memory: () => memory.buffer.byteLength };
}

run(open).then(
  (facts) => postMessage({ facts }),
  (error) => postMessage({ error: `${error?.code ?? error?.name}: ${error?.message ?? error}\n${error?.stack ?? ""}` }),
);
