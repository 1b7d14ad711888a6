/** What left the page, in a form that two runs have in common. */
import type { Arrival } from "./stand-in.js";

/** What Node adds to a request by itself. */
const OF_NODE = new Set(["host", "connection", "accept-encoding", "accept-language", "sec-fetch-mode"]);

/** Every byte of requests that matters: names that a server gave count by the order in which they were first seen. */
export function sent(arrivals: readonly Arrival[]): { call: string; headers: Record<string, unknown>; body: string }[] {
  const seen = new Map<string, string>();
  const plain = (text: string) =>
    text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
      if (!seen.has(id)) seen.set(id, `<${seen.size + 1}>`);
      return seen.get(id)!;
    });
  return arrivals.map(({ method, url, headers, body, proxied }) => ({
    call: plain(`${proxied ? "by proxy: " : ""}${method} ${url}`),
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_NODE.has(name)).map(([name, value]) => [name, plain(String(value))])),
    body: plain(body.toString("latin1")),
  }));
}

/** Names that mean something in one page alone. */
export const NO_NAME = /tinysam\.invalid|blob:/;
