import { TinySamError, type SamImage } from "tinysam";
import type { Checkpoint } from "./checkpoints.js";
import type { Photo } from "./photos.js";
import type { Encoding, Model } from "./state.js";

/** A photo that is encoded, and by which model. */
export interface Encoded {
  readonly model: Model;
  readonly image: SamImage;
  readonly encoding: Encoding;
}

/** Longer than this, in milliseconds, a sample's embedding is not waited for: to encode the photo takes hardly more. */
const PATIENCE_MS = 300;

/** Embeddings that are on their way, or have come, by their address: a few hundred kilobytes each. */
const asked = new Map<string, Promise<Blob | undefined>>();

/**
 * Encodes a photo, or takes what the checkpoint made of it beforehand: samples lie so beside the page (`cargo xtask
 * samples`).
 */
export async function encode(model: Model, photo: Photo, signal: AbortSignal): Promise<Encoded> {
  const { sam, choice, size } = model;
  const saved = await inTime(savedSample(photo.link, choice.checkpoint, size));
  try {
    if (saved !== undefined) return { model, image: await sam.restore(saved, { photo: photo.blob, signal }), encoding: "beforehand" };
  } catch (error) {
    // One that does not fit, as after a deployment of another checkpoint, is as good as none.
    if (!(error instanceof TinySamError && error.code.startsWith("embedding_"))) throw error;
  }
  const begun = performance.now();
  const image = await sam.embed(photo.blob, { size, signal });
  return { model, image, encoding: performance.now() - begun };
}

/**
 * What this checkpoint made of a sample at this side, if there is such a file. It is fetched once: asked for early, it
 * comes beside photo and model.
 */
export function savedSample(photo: string | undefined, { encoded }: Checkpoint, size: number): Promise<Blob | undefined> | undefined {
  const sample = encoded?.find((sample) => sample.photo === photo && sample.size === size);
  if (sample === undefined) return undefined;
  const coming = asked.get(sample.address) ?? fetchSaved(sample.address);
  asked.set(sample.address, coming);
  return coming;
}

/** Nothing where it cannot be had. */
async function fetchSaved(address: string): Promise<Blob | undefined> {
  try {
    const response = await fetch(address);
    if (response.ok) return await response.blob();
  } catch {
    // It is not missed.
  }
  asked.delete(address);
  return undefined;
}

function inTime(saved: Promise<Blob | undefined> | undefined): Promise<Blob | undefined> | undefined {
  return saved && Promise.race([saved, new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), PATIENCE_MS))]);
}
