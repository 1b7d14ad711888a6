/** What fal's door adds to the engine's own time, with the real engine. */
import { expect, test } from "../fal.ts";

const RUNS = 25;

declare global {
  /** When the page's thread gave the latest request to the worker, and when it had the answer. */
  var asked: number;
  var answered: number;
}

test("the door adds less to a request than the engine's time for the smallest", async ({ door, page }) => {
  // The engine's own time of the very same run: the machine is never as fast twice. It lies between two messages.
  await page.addInitScript(() => {
    globalThis.Worker = class extends Worker {
      #answer: number | undefined;
      constructor(...start: ConstructorParameters<typeof Worker>) {
        super(...start);
        this.addEventListener("message", ({ data }) => {
          if (data.id === this.#answer && "value" in data) globalThis.answered = performance.now();
        });
      }
      override postMessage(message: { id: number; name?: string }, transfer: never) {
        if (message.name === "answer") [this.#answer, globalThis.asked] = [message.id, performance.now()];
        super.postMessage(message, transfer);
      }
    };
  });
  await door.open({ device: "cpu" });
  const { added, engine } = await page.evaluate(async (runs) => {
    const image_url = new URL("/photos/coffee.png", location.href).href;
    const added: number[] = [];
    const engine: number[] = [];
    for (let run = -3; run < runs; run++) {
      const input = { image_url, size: 64, point_prompt: [[10 * run + 300, 200] as [number, number]] };
      const begun = performance.now();
      const { data } = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input });
      const own = answered - asked;
      if (data.image.width !== 600) throw new Error("no picture");
      if (run < 0) continue; // these load the model and warm up
      added.push(performance.now() - begun - own);
      engine.push(own);
    }
    return { added, engine };
  }, RUNS);
  const median = (times: number[]) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  console.log(`fal's door adds ${median(added).toFixed(1)} ms (${RUNS} runs, the slowest ${Math.max(...added).toFixed(1)}), the engine takes ${median(engine).toFixed(0)} ms`);
  expect(Math.min(...added)).toBeGreaterThan(0);
  expect(median(added)).toBeLessThan(median(engine));
});
