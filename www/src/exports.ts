import type { PngKind } from "tinysam";
import type { Layer } from "./layers.js";

/** What is saved: masks, with the photo that they belong to. */
export interface Scene {
  readonly name: string;
  readonly pixels: ImageBitmap;
  readonly layers: readonly Layer[];
}

/** All the masks in one PNG at the photo's size: white on black, cut out of the photo, or laid over it in colours. */
export async function toPng(kind: PngKind, { pixels, layers }: Scene): Promise<Blob> {
  const { width, height } = pixels;
  const picture = draw(width, height);
  const mask = draw(width, height);
  if (kind === "overlay") picture.drawImage(pixels, 0, 0);
  for (const layer of layers) {
    mask.putImageData(await layer.mask.toImageData(), 0, 0);
    if (kind === "overlay") {
      // Inside the mask alone.
      mask.globalCompositeOperation = "source-in";
      mask.fillStyle = `hsl(${layer.hue} 85% 55% / 0.5)`;
      mask.fillRect(0, 0, width, height);
      mask.globalCompositeOperation = "source-over";
    }
    picture.drawImage(mask.canvas, 0, 0);
  }
  if (kind === "cutout") {
    picture.globalCompositeOperation = "source-in";
    picture.drawImage(pixels, 0, 0);
  } else if (kind === "mask") {
    picture.globalCompositeOperation = "destination-over";
    picture.fillStyle = "#000";
    picture.fillRect(0, 0, width, height);
  }
  return picture.canvas.convertToBlob({ type: "image/png" });
}

/** COCO's annotations, with run lengths, which are exact where polygons are not. */
export async function toCoco({ name, pixels: { width, height }, layers }: Scene): Promise<Blob> {
  const annotations = layers.map(async ({ mask }, i) => ({
    id: i + 1,
    image_id: 1,
    category_id: 1,
    segmentation: await mask.toRle(),
    area: mask.area,
    bbox: mask.bbox,
    iscrowd: 0,
    score: mask.score,
    ...(mask.point === undefined ? {} : { point: mask.point }),
  }));
  const coco = {
    images: [{ id: 1, file_name: name, width, height }],
    categories: [{ id: 1, name: "object" }],
    annotations: await Promise.all(annotations),
  };
  return new Blob([JSON.stringify(coco, undefined, 1)], { type: "application/json" });
}

/** One path a mask, holes among its rings, in the photo's pixels. */
export async function toSvg({ pixels: { width, height }, layers }: Scene): Promise<Blob> {
  const paths = layers.map(async ({ mask, hue }) => {
    const rings = await mask.toPolygons();
    const path = rings.map((ring) => `M${[...ring].map((value) => Number(value.toFixed(2))).join(" ")}Z`).join("");
    return `  <path fill="hsl(${Math.round(hue)} 85% 55%)" fill-opacity="0.5" fill-rule="evenodd" d="${path}"/>\n`;
  });
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return new Blob([`<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${(await Promise.all(paths)).join("")}</svg>\n`], {
    type: "image/svg+xml",
  });
}

function draw(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (context === null) throw new Error("There is no memory left for a picture of this size. Save a single mask as SVG or COCO.");
  return context;
}
