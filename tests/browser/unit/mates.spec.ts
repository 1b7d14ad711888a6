import { expect, test } from "@playwright/test";
import { Mates } from "../../../pkg/src/mates.ts";
import type { Lines } from "../../../pkg/src/exchange.ts";

/** Channels to others of whom nobody answers. */
function lines(...workers: number[]): { lines: Lines; close(): void } {
  const channels = workers.map((worker) => [worker, new MessageChannel()] as const);
  return {
    lines: new Map(channels.map(([worker, { port1 }]) => [worker, port1])) as never,
    close: () => channels.forEach(([, { port1 }]) => port1.close()),
  };
}

const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => error.code as string);

/** The engine begins an encode anew when there are fewer than at its beginning: src/segment/crew.rs. */
test("who joins during an encode does not hide that another was lost", async () => {
  const all = lines(1, 2);
  const mates = new Mates(all.lines);
  mates.join(1);
  expect(mates.count).toBe(2);
  mates.begin([[{}, new Uint8Array(3)]]);
  mates.join(2);
  expect(mates.count).toBe(2);
  const waiting = code(mates.exchange([], [1]));
  mates.lose(1);
  expect([await waiting, mates.count]).toEqual(["crashed", 1]);
  mates.end();
  expect(mates.count).toBe(2);
  // One that comes and goes during the encode was never there.
  mates.begin([[{}, new Uint8Array(3)]]);
  mates.join(1);
  mates.lose(1);
  mates.end();
  expect(mates.count).toBe(2);
  all.close();
});
