import { TinySamError } from "./errors.js";
import { checkNames, type Names } from "./options.js";
import { corners, oneRing, type Corner } from "./outlines.js";
import type { Box, Point, Polygon, Rle } from "./types.js";

/** How masks are named in a record, and how exact their outlines are. */
export interface RecordOptions {
  /** What each mask shows, in the order of the masks. Default: `object`, each of them. */
  readonly labels?: readonly string[];
  /** Every label that there is, so that several records number them alike. Default: those used, as they come. */
  readonly categories?: readonly string[];
  /** The name of the photo's file. Default `photo`. */
  readonly fileName?: string;
  /** How far outlines may be moved to have fewer corners, in pixels. Default 1. */
  readonly tolerance?: number;
}

/** How to write a record of COCO's. */
export interface CocoOptions extends RecordOptions {
  /** Run lengths, which are exact, or polygons, which every reader of COCO knows. Default `rle`. */
  readonly segmentation?: "rle" | "polygons";
}

/** A file of COCO's: one photo, its masks, and the names of what they show. */
export interface Coco {
  readonly info: { readonly description: string; readonly version: string };
  readonly licenses: readonly [];
  readonly images: readonly { readonly id: number; readonly file_name: string; readonly width: number; readonly height: number }[];
  readonly categories: readonly { readonly id: number; readonly name: string; readonly supercategory: string }[];
  readonly annotations: readonly CocoAnnotation[];
}

/** One mask in a file of COCO's. */
export interface CocoAnnotation {
  readonly id: number;
  readonly image_id: number;
  readonly category_id: number;
  readonly segmentation: Rle | readonly (readonly number[])[];
  readonly area: number;
  readonly bbox: Box;
  readonly iscrowd: 0;
  /** The model's own estimate of the mask's IoU. */
  readonly score: number;
}

/** GeoJSON in pixels of the original image, y down: a feature for each mask, its parts and holes grouped. */
export interface GeoJSONMasks {
  readonly type: "FeatureCollection";
  readonly features: readonly {
    readonly type: "Feature";
    readonly id: number;
    readonly properties: { readonly label: string; readonly score: number; readonly stability: number; readonly area: number };
    readonly bbox: readonly [left: number, top: number, right: number, bottom: number];
    readonly geometry: { readonly type: "MultiPolygon"; readonly coordinates: readonly (readonly (readonly Corner[])[])[] };
  }[];
}

/** A file of labelme's: a polygon for each part of a mask; the parts of one share a `group_id`. */
export interface Labelme {
  readonly version: string;
  readonly flags: Record<string, never>;
  readonly shapes: readonly {
    readonly label: string;
    readonly points: readonly Corner[];
    readonly group_id: number | null;
    readonly description: string;
    readonly shape_type: "polygon";
    readonly flags: Record<string, never>;
    readonly mask: null;
  }[];
  readonly imagePath: string;
  readonly imageData: null;
  readonly imageHeight: number;
  readonly imageWidth: number;
}

/** What is needed of a mask. */
interface Recorded {
  readonly score: number;
  readonly stability: number;
  readonly area: number;
  readonly bbox: Box;
  readonly point?: Point;
  toRle(): Promise<Rle>;
  toPolygons(tolerance?: number): Promise<Polygon[]>;
}

interface Picture {
  readonly width: number;
  readonly height: number;
}

/** A mask that shows something, and what. */
interface Named<Mask> {
  readonly mask: Mask;
  /** From 1, its place among all masks. */
  readonly number: number;
  readonly label: string;
  /** From 0, its place among the categories. */
  readonly category: number;
}

const RECORD: Names<RecordOptions> = { labels: true, categories: true, fileName: true, tolerance: true };

/** @internal */
export async function toCoco({ width, height }: Picture, masks: readonly Recorded[], options: CocoOptions): Promise<Coco> {
  checkNames<CocoOptions>(options, { ...RECORD, segmentation: true }, "the options of COCO");
  const { fileName = "photo", segmentation = "rle", tolerance } = options;
  if (segmentation !== "rle" && segmentation !== "polygons") throw refused(`segmentation must be "rle" or "polygons", not "${String(segmentation)}"`);
  const { named, categories } = naming(masks, options);
  const annotations = named.map(async ({ mask, number, category }) => ({
    id: number,
    image_id: 1,
    category_id: category + 1,
    segmentation: segmentation === "rle" ? await mask.toRle() : (await mask.toPolygons(tolerance)).map((polygon) => oneRing([polygon]).flat()),
    area: mask.area,
    bbox: mask.bbox,
    iscrowd: 0 as const,
    score: mask.score,
    ...(mask.point === undefined ? {} : { point: mask.point }),
  }));
  return {
    info: { description: "Segmented by tinysam", version: "1.0" },
    licenses: [],
    images: [{ id: 1, file_name: fileName, width, height }],
    categories: categories.map((name, i) => ({ id: i + 1, name, supercategory: "" })),
    annotations: await Promise.all(annotations),
  };
}

/** @internal */
export async function toGeoJSON(masks: readonly Recorded[], options: RecordOptions): Promise<GeoJSONMasks> {
  checkNames<RecordOptions>(options, RECORD, "the options of GeoJSON");
  const features = naming(masks, options).named.map(async ({ mask, number, label }) => {
    const { score, stability, area, bbox: [x, y, width, height] } = mask;
    const polygons = await mask.toPolygons(options.tolerance);
    return {
      type: "Feature" as const,
      id: number,
      properties: { label, score, stability, area },
      bbox: [x, y, x + width, y + height] as const,
      geometry: { type: "MultiPolygon" as const, coordinates: polygons.map(({ outline, holes }) => [outline, ...holes].map(closed)) },
    };
  });
  return { type: "FeatureCollection", features: await Promise.all(features) };
}

/** @internal */
export async function toLabelme({ width, height }: Picture, masks: readonly Recorded[], options: RecordOptions): Promise<Labelme> {
  checkNames<RecordOptions>(options, RECORD, "the options of labelme");
  const shapes = naming(masks, options).named.map(async ({ mask, number, label }) => {
    const polygons = await mask.toPolygons(options.tolerance);
    return polygons.map((polygon) => ({
      label,
      points: oneRing([polygon]),
      group_id: polygons.length > 1 ? number : null,
      description: "",
      shape_type: "polygon" as const,
      flags: {},
      mask: null,
    }));
  });
  return {
    version: "5.5.0",
    flags: {},
    shapes: (await Promise.all(shapes)).flat(),
    imagePath: options.fileName ?? "photo",
    imageData: null,
    imageHeight: height,
    imageWidth: width,
  };
}

/** @internal */
export async function toYolo({ width, height }: Picture, masks: readonly Recorded[], options: RecordOptions): Promise<string> {
  checkNames<RecordOptions>(options, RECORD, "the options of YOLO");
  const share = (place: number, of: number) => Number((place / of).toFixed(6));
  const lines = naming(masks, options).named.map(async ({ mask, category }) => {
    const ring = oneRing(await mask.toPolygons(options.tolerance));
    return `${category} ${ring.map(([x, y]) => `${share(x, width)} ${share(y, height)}`).join(" ")}\n`;
  });
  return (await Promise.all(lines)).join("");
}

/** What each mask is called. Readers of these formats choke on masks of nothing: they are left out. */
function naming<Mask extends Recorded>(masks: readonly Mask[], { labels, categories }: RecordOptions): { named: Named<Mask>[]; categories: readonly string[] } {
  if (labels !== undefined && labels.length !== masks.length) throw refused(`there are ${labels.length} labels for ${masks.length} masks: give one for each, or none at all`);
  const names = masks.map((_, i) => labels?.[i] ?? "object");
  const all = [...(categories ?? new Set(names))];
  const named = masks.map((mask, i) => ({ mask, number: i + 1, label: names[i] ?? "", category: all.indexOf(names[i] ?? "") }));
  const stranger = named.find(({ category }) => category < 0);
  if (stranger !== undefined) throw refused(`the label "${stranger.label}" is none of the categories ${all.join(", ")}`);
  return { named: named.filter(({ mask }) => mask.area > 0), categories: all };
}

function closed(ring: Float32Array): Corner[] {
  const open = corners(ring);
  return [...open, ...open.slice(0, 1)];
}

function refused(message: string): TinySamError {
  return new TinySamError("option_invalid", message);
}
