import type { Mask } from "tinysam";

/** The longest side up to which outlines are true to half a pixel, the most that a screen shows. */
const EXACT_UP_TO = 2000;

/**
 * A mask as a path in the photo's pixels. Lines, not pixels: they are sharp at every zoom, and few bytes, so that
 * the page stays fluid whatever the photo's size.
 */
export async function outlinesOf(mask: Mask): Promise<Path2D> {
  const tolerance = Math.max(0.5, Math.max(mask.width, mask.height) / EXACT_UP_TO);
  const path = new Path2D();
  for (const ring of await mask.toPolygons(tolerance)) {
    path.moveTo(ring[0] ?? 0, ring[1] ?? 0);
    for (let i = 2; i + 1 < ring.length; i += 2) path.lineTo(ring[i] ?? 0, ring[i + 1] ?? 0);
    path.closePath();
  }
  return path;
}
