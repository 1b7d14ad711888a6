import type { Mask } from "tinysam";
import type { Layer } from "./viewer.js";

const COLOUR = "#3b82f6";

/** Makes a mask ready for drawing: its area in colour, its outlines as a path. */
export async function makeLayer(mask: Mask): Promise<Layer> {
  const [pixels, rings] = await Promise.all([mask.toImageData(), mask.toPolygons()]);
  const canvas = new OffscreenCanvas(mask.width, mask.height);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas");
  context.putImageData(pixels, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = COLOUR;
  context.fillRect(0, 0, mask.width, mask.height);
  return { fill: canvas.transferToImageBitmap(), outline: pathOf(rings) };
}

function pathOf(rings: readonly Float32Array[]): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0] ?? 0, ring[1] ?? 0);
    for (let i = 2; i + 1 < ring.length; i += 2) path.lineTo(ring[i] ?? 0, ring[i + 1] ?? 0);
    path.closePath();
  }
  return path;
}
