import { execFileSync } from "node:child_process";
import type { Page } from "@playwright/test";

/** Memory of the page's process as the system sees it, in MB, without garbage: WebAssembly, bitmaps and all. */
export async function rendererMemory(page: Page): Promise<number> {
  const own = await page.context().newCDPSession(page);
  await own.send("HeapProfiler.collectGarbage");
  await own.detach();
  const session = await page.context().browser()!.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const pids = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => String(id));
  const sizes = execFileSync("ps", ["-o", "rss=", "-p", pids.join(",")], { encoding: "utf8" });
  return Math.max(...sizes.trim().split("\n").map(Number)) / 1024;
}

/** Gives the engine in a page no more than so much memory, by the limit in the WebAssembly module itself. */
export async function limitMemory(page: Page, megabytes: number): Promise<void> {
  await page.context().route(/\.wasm$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: withMaximum(await response.body(), megabytes * 16) });
  });
}

/**
 * Gives the engine in a page no more than so much memory for the pixels of photos, which lie outside WebAssembly's. What is
 * given back counts no more.
 */
export async function limitPixels(page: Page, megabytes: number): Promise<void> {
  const limit = `{
    const bytes = Uint8Array;
    const large = [];
    globalThis.Uint8Array = new Proxy(bytes, {
      construct: (_, [length, ...more]) => {
        if (typeof length !== "number" || length < 1e6) return new bytes(length, ...more);
        if (large.reduce((sum, { length }) => sum + length, length) > ${megabytes} * 1e6) throw new RangeError("Array buffer allocation failed");
        large.push(new bytes(length));
        return large.at(-1);
      },
    });
  };`;
  await page.context().route(/\/worker-cpu[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: limit + (await response.text()) });
  });
}

const MEMORY_SECTION = 5;

/** A module whose one memory grows to `pages` of 64 KiB and no further. */
function withMaximum(module: Buffer, pages: number): Buffer {
  let at = 8; // after magic and version
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < module.length) {
    const start = at;
    const id = module[at++];
    const length = number();
    const end = at + length;
    if (id === MEMORY_SECTION) {
      const [count, flags, minimum] = [number(), number(), number()];
      if (count !== 1 || flags > 1) throw new Error("this module has not one plain memory");
      const limits = [1, 1, ...leb128(minimum), ...leb128(pages)];
      return Buffer.concat([module.subarray(0, start), Buffer.from([MEMORY_SECTION, limits.length, ...limits]), module.subarray(end)]);
    }
    at = end;
  }
  throw new Error("this module has no memory");
}

function leb128(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb128(value >>> 7)];
}
