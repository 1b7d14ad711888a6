import { DEFAULT_WEIGHTS, type EverythingOptions, type LoadOptions, type Prompt, type TinySamInput } from "tinysam";
import type { Drawn } from "./prompts.js";

/** What is on the stage, as far as code can say it. */
export interface Work {
  readonly weights: Pick<LoadOptions, "weights" | "sha256">;
  readonly device: string;
  readonly size: number;
  /** Everything mode's options, if its masks are on the stage, and after how many of them the run was stopped, if it was. */
  readonly everything: { readonly options: EverythingOptions; readonly stoppedAfter: number | undefined } | undefined;
  /** The marks, or those before the refinements. */
  readonly prompt: Drawn;
  /** Which of several masks is picked, or -1. */
  readonly picked: number;
  /** What refined each mask. */
  readonly refinements: readonly (readonly Prompt[])[];
}

/** The lines that do with the engine's door what the page did. */
export function toCode({ weights, device, size, everything, prompt, picked, refinements }: Work): string {
  const options = [...setup(weights, device), ...(size === 1024 ? [] : [`size: ${size}`])];
  const lines = [
    `import { TinySam } from "tinysam";`,
    ``,
    `const sam = await TinySam.load(${options.length === 0 ? "" : `{ ${options.join(", ")} }`});`,
    `const image = await sam.embed(photo);`,
  ];
  if (everything === undefined) lines.push(`const masks = await image.segment(${literal(prompt)});`);
  else if (everything.stoppedAfter === undefined) lines.push(`const masks = await image.everything(${literal(everything.options)}).masks;`);
  else {
    lines.push(`const masks = [];`);
    lines.push(`for await (const mask of image.everything(${literal(everything.options)})) if (masks.push(mask) === ${everything.stoppedAfter}) break;`);
  }
  refinements.forEach((list, i) => {
    if (picked >= 0 && i !== picked) return;
    for (const refinement of list) lines.push(`[masks[${i}]] = await masks[${i}].refine(${literal(refinement)});`);
  });
  if (picked >= 0) lines.push(`const mask = masks[${picked}];`);
  return `${lines.join("\n")}\n`;
}

/** The lines that do it with fal's door. */
export function toFalCode(work: Work): string {
  const settings = setup(work.weights, work.device);
  const fields = Object.entries(falInput(work)).map(([name, value]) => `    ${name}: ${text(value)},\n`);
  return `import { ${settings.length === 0 ? "" : "configure, "}fal } from "tinysam";

${settings.length === 0 ? "" : `configure({\n${settings.map((setting) => `  ${setting},\n`).join("")}});\n\n`}const result = await fal.subscribe("fal-ai/tiny-sam", {
  input: {
    image_url: photo,
${fields.join("")}  },
  logs: true,
  onQueueUpdate: (update) => console.log(update.status),
});
`;
}

/** The request to fal's endpoint, without its picture. Options that are as they are by default are left out. */
export function falInput({ size, prompt, everything }: Work): Omit<TinySamInput, "image_url"> {
  const { points, labels, box, boxes = box === undefined ? [] : [box] } = everything === undefined ? prompt : {};
  const { pointsPerSide = 32, predIouThresh = 0.88, stabilityScoreThresh = 0.95 } = everything?.options ?? {};
  return {
    size,
    ...(boxes.length === 0 ? {} : { box_prompt: boxes }),
    ...(points === undefined ? {} : { point_prompt: points }),
    ...(labels === undefined ? {} : { point_label: labels }),
    ...(box === undefined || points === undefined ? {} : { combine: "joint" }),
    ...(pointsPerSide === 32 ? {} : { points_per_side: pointsPerSide }),
    ...(predIouThresh === 0.88 ? {} : { pred_iou_thresh: predIouThresh }),
    ...(stabilityScoreThresh === 0.95 ? {} : { stability_score_thresh: stabilityScoreThresh }),
    return_masks: true,
  };
}

/** What of the work fal's call cannot say, in words. */
export function falGap({ everything, refinements }: Work): string | undefined {
  if (refinements.some((list) => list.length > 0)) return "fal’s call has no mask prompts: the refinement is not in it.";
  if (everything?.stoppedAfter !== undefined) return "The run was stopped: this call goes on to its end.";
  if (everything?.options.boxNmsThresh !== undefined && everything.options.boxNmsThresh !== 0.7) return "fal’s call has no “most overlap”: it is 0.7 there.";
  return undefined;
}

/** Weights and device, as far as they are not what one gets anyway. */
function setup({ weights, sha256 }: Work["weights"], device: string): string[] {
  const options = device === "auto" ? [] : [`device: ${text(device)}`];
  if (typeof weights === "string") {
    const url = new URL(weights, document.baseURI).href;
    if (!DEFAULT_WEIGHTS.urls.includes(url)) options.unshift(`weights: ${text(url)}`, ...(sha256 === undefined ? [] : [`sha256: ${text(sha256)}`]));
  } else if (weights !== undefined && weights !== DEFAULT_WEIGHTS.urls) {
    // A file of the user's has no address to be written down.
    options.unshift("weights: file");
  }
  return options;
}

function literal(value: object): string {
  const fields = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{ ${fields.map(([name, part]) => `${name}: ${text(part)}`).join(", ")} }`;
}

/** As people write it: names without quotes. */
function text(part: unknown): string {
  if (Array.isArray(part)) return `[${part.map(text).join(", ")}]`;
  return typeof part === "object" && part !== null ? literal(part) : JSON.stringify(part);
}
