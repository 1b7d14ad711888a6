import { PICTURE_LIMITS } from "tinysam";

/** What a file is by its first bytes: names and types are often wrong, and phones give none. */
export type Content =
  | { readonly kind: "picture"; readonly format: string; readonly sides?: readonly [width: number, height: number] }
  | { readonly kind: "checkpoint" }
  | { readonly kind: "unknown" };

/** As far as a picture's sides are looked for: before those of a JPEG may stand a colour profile and a thumbnail. */
const HEAD = 1 << 20;

export async function contentOf(file: Blob): Promise<Content> {
  const bytes = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  if (isCheckpoint(bytes)) return { kind: "checkpoint" };
  const format = FORMATS.find(({ begins }) => begins(bytes));
  if (format === undefined) return { kind: "unknown" };
  try {
    const sides = format.sides(new DataView(bytes.buffer));
    return { kind: "picture", format: format.name, ...(sides === undefined ? {} : { sides }) };
  } catch {
    // It ends within its head: the browser will say so.
    return { kind: "picture", format: format.name };
  }
}

/** Why a picture of these sides cannot be segmented, if it cannot: known before gigabytes are decoded. */
export function tooLarge([width, height]: readonly [number, number]): string | undefined {
  const { side, pixels } = PICTURE_LIMITS;
  if (Math.max(width, height) <= side && width * height <= pixels) return undefined;
  const megapixels = Math.round((width * height) / 1e6);
  return `${width} × ${height} pixels, ${megapixels} megapixels: at most ${side} a side and ${pixels / 1e6} megapixels can be segmented. Make it smaller first`;
}

/** PyTorch's zip or pickle, or safetensors: the length of its header, and a brace. */
function isCheckpoint(bytes: Uint8Array): boolean {
  const pickle = bytes[0] === 0x80 && bytes[1] !== undefined && bytes[1] >= 2 && bytes[1] <= 5;
  const header = bytes.length > 9 && bytes[8] === 0x7b && bytes[4] === 0 && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;
  return starts(bytes, "PK\x03\x04") || pickle || header;
}

interface Format {
  readonly name: string;
  begins(bytes: Uint8Array): boolean;
  /** As they are stored, before any turning. Throws where the file ends before them. */
  sides(view: DataView): readonly [width: number, height: number] | undefined;
}

const FORMATS: readonly Format[] = [
  { name: "JPEG", begins: (bytes) => starts(bytes, "\xff\xd8\xff"), sides: sidesOfJpeg },
  { name: "PNG", begins: (bytes) => starts(bytes, "\x89PNG\r\n\x1a\n"), sides: (view) => [view.getUint32(16), view.getUint32(20)] },
  { name: "WebP", begins: (bytes) => starts(bytes, "RIFF") && starts(bytes, "WEBP", 8), sides: sidesOfWebp },
  { name: "GIF", begins: (bytes) => starts(bytes, "GIF8"), sides: (view) => [view.getUint16(6, true), view.getUint16(8, true)] },
  { name: "BMP", begins: (bytes) => starts(bytes, "BM"), sides: (view) => [view.getUint32(18, true), Math.abs(view.getInt32(22, true))] },
  { name: "AVIF", begins: (bytes) => starts(bytes, "ftypavi", 4), sides: sidesOfAvif },
  { name: "HEIC", begins: (bytes) => starts(bytes, "ftyphe", 4) || starts(bytes, "ftypmif1", 4), sides: sidesOfAvif },
  { name: "TIFF", begins: (bytes) => starts(bytes, "II*\0") || starts(bytes, "MM\0*"), sides: () => undefined },
];

function sidesOfJpeg(view: DataView): readonly [number, number] | undefined {
  for (let at = 2; view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    // Filling.
    if (marker === 0xff) at += 1;
    // A frame begins; C4, C8 and CC of its row are tables.
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    else at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}

function sidesOfWebp(view: DataView): readonly [number, number] | undefined {
  const three = (at: number) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  switch (view.getUint32(12)) {
    case 0x56503820: // "VP8 "
      return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
    case 0x5650384c: { // "VP8L"
      const bits = view.getUint32(21, true);
      return [1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)];
    }
    case 0x56503858: // "VP8X"
      return [1 + three(24), 1 + three(27)];
    default:
      return undefined;
  }
}

/** The largest of the boxes that say a size: the others are thumbnails' and tiles'. */
function sidesOfAvif(view: DataView): readonly [number, number] | undefined {
  let largest: readonly [number, number] | undefined;
  for (let at = 4; at + 16 <= view.byteLength && at < 1 << 16; at++) {
    if (view.getUint32(at) !== 0x69737065) continue; // "ispe"
    const sides = [view.getUint32(at + 8), view.getUint32(at + 12)] as const;
    if (largest === undefined || sides[0] * sides[1] > largest[0] * largest[1]) largest = sides;
  }
  return largest;
}

function starts(bytes: Uint8Array, text: string, at = 0): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
