import { Kept } from "./kept.js";
import { replaced } from "./strings.js";
import type { Origin } from "./ways.js";
import { HELD, LIFECYCLE, failure, newId, respond } from "./wire.js";

/**
 * Where a file was uploaded for real, by the way and the terms: until when its address may be used, if not for ever.
 */
export type Published = Map<string, { readonly address: Promise<string>; readonly until: number }>;

/** A file that its owner believes to be uploaded. */
export interface Held {
  readonly name: string;
  readonly type: string;
  /** The header that says how long fal is to keep it, and for whom. */
  readonly lifecycle: string | undefined;
  /** The upload as it came: where nothing else says how to reach fal, the file goes the same way. */
  readonly origin: Origin;
  /** Nothing, once it was let go; where it was published is still known. */
  blob: Blob | undefined;
  readonly parts: Map<number, Blob>;
  published: Published;
}

/** What is kept of addresses whose files are on their way: they weigh nothing, and are not let go for others. */
const AWAITED = { count: 10_000, bytes: Infinity, age: Infinity };
/** What is kept of files that no request has named yet: those of one input, which all come before it. */
const FRESH = { count: 10_000, bytes: 2 ** 30, age: Infinity };
/** What is kept of the others. */
const USED = { count: 1000, bytes: 2 ** 26, age: Infinity };

/**
 * fal's storage, in memory: what is uploaded stays here under an address of its own, until a request that really goes
 * to fal names it. Bounded by size and number, not by time: fal keeps uploads for long, too.
 */
export class Files {
  readonly #awaited = new Kept<Held>(AWAITED);
  readonly #fresh = new Kept<Held>(FRESH);
  readonly #used = new Kept<Held>(USED, ({ blob }, url) => blob && url.startsWith("blob:") && URL.revokeObjectURL(url));
  /** The same file has the same addresses at fal, however often it is given. */
  readonly #published = new WeakMap<Blob, Published>();
  /** Of `blob:` addresses that the application made itself. */
  readonly #foreign = new Kept<Published>(USED);

  /** What lies at an address that {@link initiate} or {@link reveal} gave. */
  get(url: string): Held | undefined {
    return this.#fresh.get(url, 0) ?? this.#used.get(url, 0) ?? this.#awaited.get(url, 0);
  }

  /** Where a `blob:` address that is none of this class's was published. */
  publishedOf(url: string): Published {
    const published: Published = this.#foreign.get(url, 0) ?? new Map();
    this.#foreign.drop(url);
    this.#foreign.put(url, published, 0, 0);
    return published;
  }

  /** A request has named this file. One that was the request's alone is let go: only its addresses at fal are kept. */
  use(url: string): void {
    const held = this.get(url);
    if (held === undefined) return;
    if (held.origin.caller.own && url.startsWith(HELD)) held.blob = undefined;
    this.#keep(url, held);
  }

  /** Gives a file an address that can be shown, as long as it is kept. */
  reveal(url: string): string {
    const held = this.#fresh.get(url, 0);
    if (held === undefined || typeof URL.createObjectURL !== "function") return url;
    this.#fresh.drop(url);
    const address = URL.createObjectURL(fileOf(held)!);
    this.#keep(address, held);
    return address;
  }

  /** A value with every upload that it names revealed. */
  revealAll<T>(value: T): T {
    return replaced(value, (text) => this.reveal(text)) as T;
  }

  /** `POST …/storage/upload/initiate`: one address for the upload and for the file. */
  initiate(body: unknown, origin: Origin): Response {
    const { file_name, content_type } = (body ?? {}) as { file_name?: unknown; content_type?: unknown };
    const name = typeof file_name === "string" ? file_name : "file";
    const type = typeof content_type === "string" ? content_type : "application/octet-stream";
    const lifecycle = origin.headers.get(LIFECYCLE) ?? undefined;
    const url = `${HELD}${newId()}-${encodeURIComponent(name)}`;
    const held = { name, type, lifecycle, origin, blob: new Blob([], { type }), parts: new Map(), published: new Map() };
    this.#awaited.put(url, held, 0, 0);
    return ok({ file_url: url, upload_url: url });
  }

  /** `PUT` of a whole file or of a part, `POST …/complete`, and `GET` of the file. */
  async serve(method: string, url: string, part: string | undefined, body: BodyInit | null | undefined): Promise<Response> {
    const held = this.get(url);
    if (held?.blob === undefined) return respond(undefined, failure(404, "this file is not held here, or not any more"));
    if (method === "GET") return new Response(held.blob, { headers: { "content-type": held.type } });
    if (method === "PUT") {
      // A File's bytes stay on the disk as long as nobody copies them.
      const blob = body instanceof Blob ? body : await new Response(body ?? null).blob();
      if (part === undefined) {
        this.#fill(url, held, blob);
        return ok({});
      }
      const partNumber = Number(part);
      held.parts.set(partNumber, blob);
      return ok({ partNumber, etag: `"${partNumber}"` });
    }
    if (method === "POST" && part === "complete") {
      const parts = [...held.parts].sort(([a], [b]) => a - b).map(([, blob]) => blob);
      held.parts.clear();
      this.#fill(url, held, new Blob(parts, { type: held.type }));
      return ok({});
    }
    return respond(undefined, failure(405, "Method Not Allowed"));
  }

  #fill(url: string, held: Held, blob: Blob): void {
    held.blob = blob;
    held.published = this.#published.get(blob) ?? held.published;
    this.#published.set(blob, held.published);
    this.#drop(url);
    this.#fresh.put(url, held, weight(held), 0);
  }

  #keep(url: string, held: Held): void {
    this.#drop(url);
    this.#used.put(url, held, weight(held), 0);
  }

  #drop(url: string): void {
    this.#awaited.drop(url);
    this.#fresh.drop(url);
    this.#used.take(url);
  }
}

/** Bytes of memory. A File lies on the disk, where the browser keeps it. */
function weight({ blob }: Held): number {
  return blob === undefined || blob instanceof File ? 0 : blob.size;
}

/** A held file as one gives it to fal's client. */
export function fileOf({ blob, name, type }: Held): File | undefined {
  return blob && new File([blob], name, { type });
}

function ok(body: object): Response {
  return respond(undefined, { status: 200, body, backend: undefined });
}
