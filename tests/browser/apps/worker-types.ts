/** What the compiler of a worker's own code must say, which knows no elements. Only its types are checked. */
import { TinySam, type SamImage } from "tinysam/engine";

export async function inside(photo: Blob, canvas: OffscreenCanvas): Promise<readonly SamImage[]> {
  const sam = await TinySam.load();
  return [await sam.embed(photo), await sam.embed(canvas)];
}

// @ts-expect-error A date is no picture.
export const odd = (sam: TinySam) => sam.embed(new Date());
