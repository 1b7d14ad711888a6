import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FIXTURES = join(dirname(dirname(fileURLToPath(import.meta.url))), "fixtures");

/** What the reference's mask of one prompt is, from tests/fixtures/goldens. */
export interface GoldenMask {
  /** `[x, y]` and its label, in original pixels. */
  readonly point: readonly [number, number];
  /** Pixels of the best mask, packed as `Mask.toBits` packs them. */
  readonly bits: Uint8Array;
  readonly iou: readonly number[];
  readonly areas: readonly number[];
}

/** The prompt with one foreground point, `p1_fg`, of a golden file. */
export function goldenClick(name: string): GoldenMask {
  const golden = JSON.parse(readFileSync(join(FIXTURES, `goldens/${name}.json`), "utf8"));
  const tensors = safetensors(readFileSync(join(FIXTURES, `goldens/${name}.safetensors`)));
  const bits = tensors("p1_fg.best_mask_bits");
  const iou = tensors("p1_fg.iou_full");
  return {
    point: golden.prompts.p1_fg.points[0],
    bits: new Uint8Array(bits),
    iou: [...new Float32Array(iou)],
    areas: golden.mask_areas.p1_fg,
  };
}

/** The prompt with a box alone, `p3_box`, of a golden file, and the scores of the decoder's four masks of it. */
export function goldenBox(name: string): { readonly box: readonly [number, number, number, number]; readonly iou: readonly number[] } {
  const golden = JSON.parse(readFileSync(join(FIXTURES, `goldens/${name}.json`), "utf8"));
  const [left, top, right, bottom] = golden.prompts.p3_box.box;
  const iou = safetensors(readFileSync(join(FIXTURES, `goldens/${name}.safetensors`)))("p3_box.iou_full");
  return { box: [left, top, right - left, bottom - top], iou: [...new Float32Array(iou)] };
}

/** The part of pixels in which two packed masks differ. */
export function difference(a: Uint8Array, b: Uint8Array, pixels: number): number {
  if (a.length !== b.length) throw new Error(`masks of ${a.length} and ${b.length} bytes`);
  let bits = 0;
  for (let i = 0; i < a.length; i++) {
    for (let x = (a[i] ?? 0) ^ (b[i] ?? 0); x !== 0; x &= x - 1) bits += 1;
  }
  return bits / pixels;
}

function safetensors(file: Buffer): (name: string) => ArrayBuffer {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString("utf8"));
  return (name) => {
    const entry = header[name];
    if (entry === undefined) throw new Error(`the golden has no ${name}`);
    const [from, to] = entry.data_offsets;
    return new Uint8Array(file.subarray(8 + length + from, 8 + length + to)).buffer;
  };
}

const U64 = (1n << 64n) - 1n;
const GOLD = 0x9e3779b97f4a7c15n;

/** The synthetic picture of tests/fixtures/goldens/README.md, as RGBA. */
export function synth(w: number, h: number): Uint8Array<ArrayBuffer> {
  const rgba = new Uint8Array(w * h * 4);
  const [dx, dy, r] = [div(3 * w, 10), div(4 * h, 10), div(Math.min(w, h), 5)];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let rgb = [div(200 * x, w) + 20, div(200 * y, h) + 20, div(200 * (x + y), w + h) + 20];
      if ((x - dx) ** 2 + (y - dy) ** 2 <= r * r) rgb = [220, 60, 40];
      if (within(x, div(11 * w, 20), div(17 * w, 20)) && within(y, div(9 * h, 20), div(16 * h, 20))) rgb = [40, 90, 210];
      const stripe = div(x + 2 * y, 12) % 2 === 0;
      if (within(x, div(w, 10), div(w, 2)) && within(y, div(7 * h, 10), div(9 * h, 10)) && stripe) rgb = [235, 225, 90];
      for (let c = 0; c < 3; c++) rgba[4 * (y * w + x) + c] = Math.min(Math.max((rgb[c] ?? 0) + noise(y * w + x, c), 0), 255);
      rgba[4 * (y * w + x) + 3] = 255;
    }
  }
  return rgba;
}

function noise(pixel: number, channel: number): number {
  let z = (BigInt(3 * pixel + channel + 1) * GOLD) & U64;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & U64;
  z ^= z >> 27n;
  return Number((z >> 20n) % 17n) - 8;
}

function div(a: number, b: number): number {
  return Math.floor(a / b);
}

function within(value: number, low: number, high: number): boolean {
  return value >= low && value < high;
}
