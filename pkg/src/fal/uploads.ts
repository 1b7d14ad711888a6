import { ApiError } from "@fal-ai/client";
import type { Fault } from "./endpoint.js";
import { fileOf, type Files, type Held, type Published } from "./files.js";
import { replaced, strings } from "./strings.js";
import type { Way } from "./ways.js";
import { HELD, RETRIED, unreachable } from "./wire.js";

/** A file of this page cannot be had, or could not be uploaded: what named it goes nowhere. */
export class UploadFailed extends Error {
  constructor(
    /** Never one for which fal's client tries again: the upload was tried again already. */
    readonly status: number,
    readonly detail: string | Fault[],
  ) {
    super(typeof detail === "string" ? detail : detail[0]?.msg);
  }
}

/** Addresses that mean something in this page alone: `blob:`, and in an extension its own files. */
const LOCAL = /^(blob:([a-z-]+:\/\/[^/]+|null|nodedata)[/:][\w-]{36}|[a-z]+(-web)?-extension:\/\/)/;

/** Whether a text may name a file of this page. */
export function mentions(text: string): boolean {
  return text.includes(HELD) || text.includes("blob:") || text.includes("-extension:");
}

/**
 * A value with every file of this page uploaded for real; the same value, if it names none. A file is uploaded once for
 * each way and terms, however often it is named.
 *
 * @param way asked for when there is something to upload; `held` is what names the way that the file's own upload came
 * @throws {@link UploadFailed}
 */
export async function publish(value: unknown, files: Pick<Files, "get" | "publishedOf">, way: (held: Held | undefined) => Way | undefined): Promise<unknown> {
  const uploads = [...strings(value)].map(async (text): Promise<[string, string]> => {
    const held = files.get(text);
    if (held === undefined && text.startsWith(HELD)) throw new UploadFailed(422, unreachable(GONE));
    if (held === undefined && !LOCAL.test(text)) return [text, text];
    const to = way(held);
    if (to === undefined) throw new UploadFailed(401, NO_WAY);
    const { published, lifecycle } = held ?? { published: files.publishedOf(text), lifecycle: undefined };
    return [text, await upload(published, to, lifecycle, async () => (held === undefined ? read(text) : fileOf(held)))];
  });
  const addresses = new Map(await Promise.all(uploads));
  return [...addresses].every(([text, address]) => text === address) ? value : replaced(value, (text) => addresses.get(text) ?? text);
}

/** What is said of an upload that is no longer there. */
export const GONE = "this upload is not held any more: upload the file again";

const NO_WAY =
  "a file of this page is named here, and there is no way known to upload it: set `proxyUrl` or `credentials` in fal.config(), " +
  'or `uploads: "fal"` in configure()';

async function upload(published: Published, way: Way, lifecycle: string | undefined, file: () => Promise<Blob | undefined>): Promise<string> {
  const terms = `${way.name}\n${lifecycle ?? ""}`;
  const known = published.get(terms);
  if (known !== undefined && Date.now() < known.until) return known.address;
  const address = file().then((blob) => {
    if (blob === undefined) throw new UploadFailed(422, unreachable(GONE));
    return way.client({ lifecycle }).storage.upload(blob).catch((error: unknown) => {
      const status = error instanceof ApiError && !RETRIED.includes(error.status) ? error.status : 500;
      const name = blob instanceof File ? blob.name : "a file of this page";
      throw new UploadFailed(status, `${name} could not be uploaded to fal: ${error instanceof Error ? error.message : String(error)}`);
    });
  });
  const made = { address, until: Date.now() + halfLife(lifecycle) };
  published.set(terms, made);
  address.catch(() => published.get(terms) === made && published.delete(terms));
  return address;
}

/** Seconds for which fal keeps a file of which nothing is said, as far as can be known: accounts have a term of their own. */
const LEAST_KEPT = 3600;

/** Milliseconds for which an address is used again: half of what fal keeps the file. */
function halfLife(lifecycle: string | undefined): number {
  const { expiration_duration_seconds: seconds = LEAST_KEPT } = JSON.parse(lifecycle ?? "{}") as { expiration_duration_seconds?: number };
  return seconds * 500;
}

/** A file that only this page can fetch. */
export async function read(url: string): Promise<Blob> {
  try {
    return await (await fetch(url)).blob();
  } catch {
    throw new UploadFailed(422, unreachable(`${url} was revoked, or belongs to another page`));
  }
}
