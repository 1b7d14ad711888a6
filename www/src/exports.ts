import type { PngKind, SamImage } from "tinysam";
import type { Layer } from "./layers.js";

/** What is saved: masks, with the photo that they belong to. */
export interface Scene {
  readonly name: string;
  readonly image: SamImage;
  readonly layers: readonly Layer[];
}

/** All the masks in one PNG at the photo's size: white on black, cut out of the photo, or laid over it in colours. */
export function toPng(kind: PngKind, { image, layers }: Scene): Promise<Blob> {
  return image.toBlob(layers.map(({ mask }) => mask), kind);
}

/** A file of COCO's, with run lengths, which are exact where polygons are not. */
export async function toCoco({ name, image, layers }: Scene): Promise<Blob> {
  const coco = await image.toCoco(layers.map(({ mask }) => mask), { fileName: name });
  return new Blob([JSON.stringify(coco, undefined, 1)], { type: "application/json" });
}

/** One path a mask, holes among its rings, in the photo's pixels. */
export async function toSvg({ image: { width, height }, layers }: Scene): Promise<Blob> {
  const paths = layers.map(async ({ mask, hue }) => `  <path fill="hsl(${Math.round(hue)} 85% 55%)" fill-opacity="0.5" d="${await mask.toSvgPath()}"/>\n`);
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return new Blob([`<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${(await Promise.all(paths)).join("")}</svg>\n`], {
    type: "image/svg+xml",
  });
}
