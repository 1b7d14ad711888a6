import type { Box, EverythingOptions, Label, Point } from "tinysam";
import { NOTHING, type Marks } from "./prompts.js";

/** What the page's address asks for, and what a link to it holds. */
export interface Link {
  /** A sample's file, or an address. */
  readonly photo?: string | undefined;
  /** A checkpoint's address. */
  readonly weights?: string | undefined;
  readonly device?: string | undefined;
  readonly size?: string | undefined;
  readonly marks: Marks;
}

/**
 * What is asked for, after `#` as links have it, or after `?`: what stands after `#` is not sent to any server, and is
 * nobody's business.
 */
export function readLink({ hash, search }: { readonly hash: string; readonly search: string }): Link {
  const query = new URLSearchParams(search);
  for (const [name, value] of new URLSearchParams(hash.slice(1))) query.set(name, value);
  const value = (name: string) => query.get(name) ?? undefined;
  return { photo: value("photo"), weights: value("weights"), device: value("device"), size: value("size"), marks: readMarks(value) };
}

/** The link to this page that shows what it shows. */
export function writeLink({ photo, weights, device, size, marks }: Link, page: string): string {
  const { points, boxes, everything } = marks;
  const fields: readonly (readonly [name: string, value: string | undefined])[] = [
    ["photo", photo],
    ["points", rows(points.map(({ at, label }) => [...at, label]))],
    ["boxes", rows(boxes)],
    ["everything", everything && rows([EVERYTHING.map((name) => everything[name] ?? 0)])],
    ["weights", weights],
    ["device", device],
    ["size", size],
  ];
  const query = new URLSearchParams(fields.filter((field): field is [string, string] => field[1] !== undefined));
  const address = new URL(page);
  address.search = "";
  // Commas and colons are as good as their codes after `#`, and can be read.
  address.hash = query.toString().replaceAll("%2C", ",").replaceAll("%3B", ";").replaceAll("%3A", ":").replaceAll("%2F", "/");
  return address.href;
}

/** The options in the order in which a link has them. */
const EVERYTHING = ["pointsPerSide", "predIouThresh", "stabilityScoreThresh", "boxNmsThresh"] as const satisfies readonly (keyof EverythingOptions)[];

function readMarks(value: (name: string) => string | undefined): Marks {
  const [options] = numbers(value("everything"), EVERYTHING.length);
  if (options !== undefined) return { ...NOTHING, everything: Object.fromEntries(EVERYTHING.map((name, i) => [name, options[i]])) };
  const boxes = numbers(value("boxes"), 4).map(([x = 0, y = 0, width = 0, height = 0]): Box => [x, y, width, height]);
  const points = numbers(value("points"), 3).map(([x = 0, y = 0, label]) => ({ at: [x, y] as Point, label: (label === 0 ? 0 : 1) as Label }));
  return { points: boxes.length > 1 ? [] : points, boxes };
}

function rows(values: readonly (readonly number[])[]): string | undefined {
  return values.length === 0 ? undefined : values.map((row) => row.join(",")).join(";");
}

/** Rows of so many numbers; what is none is left out. */
function numbers(text: string | undefined, length: number): number[][] {
  const all = (text ?? "").split(";").map((row) => row.split(",").map((number) => (number === "" ? NaN : Number(number))));
  return all.filter((row) => row.length === length && row.every(Number.isFinite));
}
