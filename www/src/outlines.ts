import type { Mask } from "tinysam";

/** The longest side up to which outlines are true to half a pixel, the most that a screen shows. */
const EXACT_UP_TO = 2000;

/**
 * A mask as a path in the photo's pixels. Lines, not pixels: they are sharp at every zoom, and few bytes, so that
 * the page stays fluid whatever the photo's size.
 */
export function outlinesOf(mask: Mask): Promise<Path2D> {
  return mask.toPath2D(Math.max(0.5, Math.max(mask.width, mask.height) / EXACT_UP_TO));
}
