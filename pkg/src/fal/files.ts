import { Kept } from "./kept.js";
import { HELD, failure, newId, respond } from "./wire.js";

/** A file that its owner believes to be uploaded. */
interface Held {
  blob: Blob;
  readonly name: string;
  readonly type: string;
  readonly parts: Map<number, Blob>;
}

/**
 * fal's storage, in memory: what is uploaded stays here under an address of its own, until a request that really goes
 * to fal names it. Bounded by size and number, not by time: fal keeps uploads for long, too.
 */
export class Files {
  readonly #held = new Kept<Held>({ count: 1000, bytes: 2 ** 30, age: Infinity });

  /** The file at an address that {@link initiate} gave. */
  get(url: string): File | undefined {
    const held = this.#held.get(url, 0);
    return held && new File([held.blob], held.name, { type: held.type });
  }

  /** `POST …/storage/upload/initiate`: one address for the upload and for the file. */
  initiate(body: unknown): Response {
    const { file_name, content_type } = (body ?? {}) as { file_name?: unknown; content_type?: unknown };
    const name = typeof file_name === "string" ? file_name : "file";
    const type = typeof content_type === "string" ? content_type : "application/octet-stream";
    const url = `${HELD}${newId()}-${encodeURIComponent(name)}`;
    this.#hold(url, { blob: new Blob([], { type }), name, type, parts: new Map() });
    return ok({ file_url: url, upload_url: url });
  }

  /** `PUT` of a whole file or of a part, `POST …/complete`, and `GET` of the file. */
  async serve(method: string, url: string, part: string | undefined, body: BodyInit | null | undefined): Promise<Response> {
    const held = this.#held.get(url, 0);
    if (held === undefined) return respond(undefined, failure(404, "this file is not held here, or not any more"));
    if (method === "GET") return new Response(held.blob, { headers: { "content-type": held.type } });
    if (method === "PUT") {
      // A File's bytes stay on the disk as long as nobody copies them.
      const blob = body instanceof Blob ? body : await new Response(body ?? null).blob();
      if (part === undefined) {
        this.#hold(url, { ...held, blob });
        return ok({});
      }
      const partNumber = Number(part);
      held.parts.set(partNumber, blob);
      return ok({ partNumber, etag: `"${partNumber}"` });
    }
    if (method === "POST" && part === "complete") {
      const parts = [...held.parts].sort(([a], [b]) => a - b).map(([, blob]) => blob);
      this.#hold(url, { ...held, blob: new Blob(parts, { type: held.type }), parts: new Map() });
      return ok({});
    }
    return respond(undefined, failure(405, "Method Not Allowed"));
  }

  #hold(url: string, held: Held): void {
    this.#held.drop(url);
    this.#held.put(url, held, held.blob.size, 0);
  }
}

function ok(body: object): Response {
  return respond(undefined, { status: 200, body, backend: undefined });
}
