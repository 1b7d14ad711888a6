import type { CrewEngine, EngineClass, EngineEmbedding } from "./bindings.js";
import { TinySamError, aborted, toWire } from "./errors.js";
import { Arrivals, Encode, type Lines, type Rows } from "./exchange.js";
import type { Answer, Order } from "./mates.js";

/** What a worker that is not the first needs. */
interface Joining {
  readonly lines: Lines;
  /** Makes an instance of the module that the first worker has compiled. */
  readonly instantiate: (module: WebAssembly.Module) => Promise<{ readonly Engine: EngineClass }>;
  /** What went wrong that must not: this worker is of no more use. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Does what the first worker asks for; resolves when it can.
 * @internal
 */
export function joinCrew({ lines, instantiate, onFailure }: Joining): Promise<void> {
  const arrivals = new Arrivals();
  const first = lines.get(0);
  let engine: CrewEngine | undefined;
  let held: Promise<EngineEmbedding> | undefined;

  return new Promise((resolve, reject) => {
    const obey = async (order: Order): Promise<void> => {
      if ("weights" in order) {
        const { Engine } = await instantiate(order.module);
        if (Engine.join === undefined) throw new TinySamError("internal", "this device works alone");
        engine = await Engine.join(new Uint8Array(await order.weights.arrayBuffer()), order.sha256);
        return resolve();
      }
      if ("end" in order) return arrivals.end(order.end, aborted());
      if (engine === undefined) return;
      if ("begin" in order) {
        const job = new Encode(order.begin, order.crew, lines, arrivals);
        return engine.part(order.part, order.rgb, job).catch((error: unknown) => {
          if (toWire(error).code !== "aborted") throw error;
        });
      }
      if ("hold" in order) {
        const before = held;
        held = engine.restore(order.hold, undefined);
        (await before)?.free();
        return;
      }
      const answer = await held?.then((embedding) => embedding.decodeBatch?.(order.prompts, order.over));
      if (answer === undefined) throw new TinySamError("internal", "no embedding is held");
      first?.postMessage({ decoded: order.decode, batch: answer } satisfies Answer, answer.map(({ buffer }) => buffer as ArrayBuffer));
    };
    for (const [from, line] of lines) {
      line.onmessage = ({ data }: MessageEvent<Rows | Order>) => {
        if ("rows" in data) return arrivals.put(from, data);
        obey(data).catch((error: unknown) => {
          if (engine === undefined) reject(error);
          else onFailure(error);
        });
      };
    }
  });
}
