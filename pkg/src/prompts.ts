import { TinySamError } from "./errors.js";
import { checkNames, type Names } from "./options.js";
import type { Box, Label, Point, Prompt } from "./types.js";

/**
 * One object's prompt, copied: plain arrays of numbers, which cross to a worker whatever they were given as.
 * @internal
 */
export interface PlainPrompt {
  readonly points: readonly Point[];
  readonly labels: readonly Label[];
  readonly box?: Box;
  readonly mask?: Float32Array;
  readonly multimask: boolean;
}

const PROMPT: Names<Prompt> = { points: true, labels: true, box: true, boxes: true, mask: true, multimask: true };

/**
 * The prompts that a prompt of the caller's means: one, or one for each of its boxes.
 *
 * @throws `prompt_invalid` for what is no such prompt; what its numbers mean, the engine checks
 * @internal
 */
export function plainPrompts(prompt: Prompt): PlainPrompt[] {
  checkNames<Prompt>(prompt, PROMPT, "a prompt", "prompt_invalid");
  const { points, labels, box, boxes, mask, multimask = false } = prompt;
  const several = boxes === undefined ? undefined : listOf(boxes, "boxes", "[x, y, width, height]");
  const one = {
    ...plainPoints(points, labels),
    ...(box === undefined ? {} : { box: tuple(box, 4, "box", "[x, y, width, height]") as unknown as Box }),
    ...(mask === undefined ? {} : { mask: logits(mask) }),
    multimask: multimask === true,
  };
  if (several === undefined) return [one];
  const alone = one.points.length === 0 && box === undefined && mask === undefined;
  if (several.length === 0 && !alone) return [one];
  if (!alone) throw invalid("`boxes` are prompts of their own: give `box` with points or a mask, or several prompts in a list");
  return several.map((each, i) => ({ ...one, box: tuple(each, 4, `boxes[${i}]`, "[x, y, width, height]") as unknown as Box }));
}

/**
 * Points with a label each; without labels, every point is on the object.
 *
 * @throws `prompt_invalid`
 * @internal
 */
export function plainPoints(points: Prompt["points"], labels: Prompt["labels"]): { points: Point[]; labels: Label[] } {
  const places = points === undefined ? [] : listOf(points, "points", "[x, y]");
  const plain = places.map((point, i) => tuple(point, 2, `points[${i}]`, "[x, y]") as unknown as Point);
  if (labels === undefined) return { points: plain, labels: plain.map(() => 1) };
  const said = numbers(labels) ?? refuse("labels", "a list of 1 (on the object) and 0 (not on it)", labels);
  if (said.length === 0) return { points: plain, labels: plain.map(() => 1) };
  if (said.length !== plain.length) throw invalid(`there are ${said.length} labels for ${plain.length} points: give one for each, or none at all`);
  return { points: plain, labels: said as Label[] };
}

/** A list, of whatever kind. */
function listOf(value: unknown, name: string, of: string): unknown[] {
  const list = elements(value) ?? refuse(name, `a list of ${of}`, value);
  if (list.length > 0 && list.every((element) => typeof element === "number")) {
    throw invalid(`${name} must be a list of ${of}: write [${of}], also where there is only one`);
  }
  return list;
}

function tuple(value: unknown, length: number, name: string, form: string): number[] {
  const list = numbers(value);
  return list?.length === length ? list : refuse(name, `${form}, ${length} numbers`, value);
}

/**
 * The numbers of a list that holds nothing else.
 * @internal
 */
export function numbers(value: unknown): number[] | undefined {
  const list = elements(value);
  return list?.every((element) => typeof element === "number") ? list : undefined;
}

/** What an array, a typed array or another list holds, also one behind a proxy. */
function elements(value: unknown): unknown[] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    return Symbol.iterator in value || "length" in value ? Array.from(value as ArrayLike<unknown>) : undefined;
  } catch {
    return undefined; // a proxy of a typed array: its elements are out of reach
  }
}

function logits(value: unknown): Float32Array {
  if (ArrayBuffer.isView(value)) return Float32Array.from(value as Float32Array);
  return Float32Array.from(numbers(value) ?? refuse("mask", "the Float32Array of an earlier mask's `logits()`", value));
}

function refuse(name: string, form: string, value: unknown): never {
  throw invalid(`${name} must be ${form}, not ${said(value)}`);
}

/** A value as a sentence can hold it. */
function said(value: unknown): string {
  const list = elements(value);
  if (list !== undefined) return `[${list.slice(0, 6).map((element) => (elements(element) ? "[…]" : said(element))).join(", ")}${list.length > 6 ? ", …" : ""}]`;
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "another object" : String(value);
}

function invalid(message: string): TinySamError {
  return new TinySamError("prompt_invalid", `this prompt cannot be used: ${message}`);
}
