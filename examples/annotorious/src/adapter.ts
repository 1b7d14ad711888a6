import { ShapeType, type ImageAnnotation, type ImageAnnotator, type MultiPolygon } from "@annotorious/annotorious";
import type { Mask, Point, SamImage } from "tinysam/engine";

/** A mask as a shape of Annotorious: its parts, each with its holes. `tolerance` is how exactly, in pixels of the photo. */
export async function toShape(mask: Mask, tolerance = 1): Promise<MultiPolygon> {
  const [x, y, width, height] = mask.bbox;
  const parts = await mask.toPolygons(tolerance);
  return {
    type: ShapeType.MULTIPOLYGON,
    geometry: {
      polygons: parts.map(({ outline, holes }) => {
        const rings = [outline, ...holes].map((ring) => ({ points: pairs(ring) }));
        return { rings, bounds: boundsOf(rings[0].points) };
      }),
      bounds: { minX: x, minY: y, maxX: x + width, maxY: y + height },
    },
  };
}

/** Adds what a click of the user is on as an annotation. Resolves to it, or to nothing if there is nothing. */
export async function annotate(annotator: ImageAnnotator, image: SamImage, at: Point, signal?: AbortSignal): Promise<ImageAnnotation | undefined> {
  const [mask] = await image.segment({ points: [at] }, { signal });
  try {
    if (mask.area === 0) return undefined;
    const id = crypto.randomUUID();
    const annotation: ImageAnnotation = { id, bodies: [], target: { annotation: id, selector: await toShape(mask) } };
    signal?.throwIfAborted();
    annotator.addAnnotation(annotation);
    return annotation;
  } finally {
    mask.free();
  }
}

function pairs(ring: Float32Array): [number, number][] {
  return Array.from({ length: ring.length / 2 }, (_, i) => [ring[2 * i], ring[2 * i + 1]]);
}

function boundsOf(points: readonly [number, number][]) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return { minX: Math.min(...xs), minY: Math.min(...ys), maxX: Math.max(...xs), maxY: Math.max(...ys) };
}
