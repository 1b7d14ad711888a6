/** Weights as a page has them, made ready to be sent to an engine, and sent again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prepareWeights } from "../../pkg/src/weights.js";
import { failing } from "./world.js";

const prepare = (weights: Response, signal?: AbortSignal) => prepareWeights(weights, undefined, undefined, signal);

test("a response is read once, and serves every load that it is given to", async () => {
  const response = new Response("weights");
  const [first, again] = [await prepare(response), await prepare(response)];
  assert.equal(await (first.sources[0] as Blob).text(), "weights");
  assert.equal(again.sources[0], first.sources[0], "and so they share an engine");
});

test("a response that somebody else reads, or has read, is refused with what to do", async () => {
  const [read, locked, stopped] = [new Response("a"), new Response("b"), new Response("c")];
  await read.text();
  locked.body!.getReader();
  const stop = new AbortController();
  const first = failing(prepare(stopped, stop.signal));
  stop.abort();
  assert.equal((await first).code, "aborted");
  for (const response of [read, locked, stopped]) {
    const error = await failing(prepare(response));
    assert.equal(error.code, "checkpoint_unreachable");
    assert.match(error.message, /was read before: give a fresh one, or a clone\(\)/);
  }
});
