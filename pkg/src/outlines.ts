import type { Polygon } from "./types.js";

/** A corner, in pixels of the original image. */
export type Corner = [x: number, y: number];

/**
 * The corners of a ring.
 * @internal
 */
export function corners(ring: Float32Array): Corner[] {
  return Array.from({ length: ring.length / 2 }, (_, i): Corner => [ring[2 * i] ?? 0, ring[2 * i + 1] ?? 0]);
}

/**
 * The commands of an SVG path: a subpath for each ring.
 * @internal
 */
export function svgPath(polygons: readonly Polygon[]): string {
  return ringsOf(polygons).map((ring) => `M${ring.join(" ")}Z`).join("");
}

/**
 * One ring that covers what all of these cover, for formats that know neither holes nor parts: each further ring hangs on
 * a bridge of no width, which is walked there and back.
 * @internal
 */
export function oneRing(polygons: readonly Polygon[]): Corner[] {
  const [first, ...others] = ringsOf(polygons).map(corners);
  const ring = first ?? [];
  for (const other of others) {
    const [start] = other;
    if (start === undefined) continue;
    const bridge = nearest(ring, start);
    const from = ring[bridge];
    if (from !== undefined) ring.splice(bridge + 1, 0, ...other, start, from);
  }
  return ring;
}

function ringsOf(polygons: readonly Polygon[]): Float32Array[] {
  return polygons.flatMap(({ outline, holes }) => [outline, ...holes]);
}

function nearest(ring: readonly Corner[], [x, y]: Corner): number {
  let [place, least] = [0, Infinity];
  ring.forEach(([atX, atY], i) => {
    const distance = (atX - x) ** 2 + (atY - y) ** 2;
    if (distance < least) [place, least] = [i, distance];
  });
  return place;
}
