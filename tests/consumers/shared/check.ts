import { TinySam } from "tinysam";

declare global {
  /** What came of it: the areas of a mask, with a worker and without, or what was thrown. For the tests to read. */
  var found: { areas: number[] } | { error: string } | undefined;
}

/** Segments a tiny picture on the CPU, by weights that the page's address names. */
export async function check(): Promise<void> {
  const weights = new URLSearchParams(location.search).get("weights") ?? "";
  const picture = new ImageData(64, 64);
  for (let i = 0; i < picture.data.length; i++) picture.data[i] = i % 4 === 3 ? 255 : (i * 37 + (i >> 6) * 11) % 256;
  try {
    const areas: number[] = [];
    for (const worker of [true, false]) {
      const sam = await TinySam.load({ weights, device: "cpu", size: 64, worker });
      const image = await sam.embed(picture);
      const [mask] = await image.segment({ points: [[20, 20]] });
      areas.push(mask?.area ?? 0);
      sam.free();
    }
    globalThis.found = { areas };
  } catch (error) {
    globalThis.found = { error: String(error) };
  }
}
