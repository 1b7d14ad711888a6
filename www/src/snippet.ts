import type { EverythingOptions, LoadOptions, Prompt } from "tinysam";

/** What is on the stage, as far as code can say it. */
export interface Work {
  readonly weights: Pick<LoadOptions, "weights" | "sha256">;
  readonly device: string;
  readonly size: number;
  /** Everything mode's options, if its masks are on the stage. */
  readonly everything: EverythingOptions | undefined;
  /** The marks, or those before the refinement. */
  readonly prompt: Prompt;
  /** Which of several masks is picked. */
  readonly picked: number;
  /** The marks of the refinement. */
  readonly refinement: Prompt | undefined;
}

/** The lines that do with the package what the page did. */
export function toCode({ weights, device, size, everything, prompt, picked, refinement }: Work): string {
  const source = typeof weights.weights === "string" ? { ...weights } : {};
  // A file of the user's has no address to be written down.
  const file = typeof weights.weights === "string" ? "" : "weights: file, ";
  const options = { ...source, device, size };
  const several = everything !== undefined || (prompt.boxes?.length ?? 0) > 1;
  const call = everything === undefined ? `segment(${literal(prompt)})` : `everything(${literal(everything)})`;
  const lines = [
    `import { TinySam } from "tinysam";`,
    ``,
    `const sam = await TinySam.load({ ${file}${literal(options).slice(2)});`,
    `const image = await sam.embed(photo);`,
    `const ${several ? "masks" : "[mask]"} = await image.${call};`,
  ];
  if (several && picked >= 0) lines.push(`const mask = masks[${picked}];`);
  if (refinement !== undefined) lines.push(`const [refined] = await mask.refine(${literal(refinement)});`);
  return `${lines.join("\n")}\n`;
}

/** As people write it: names without quotes, numbers without noise. */
function literal(value: object): string {
  const text = (part: unknown): string => {
    if (Array.isArray(part)) return `[${part.map(text).join(", ")}]`;
    if (typeof part === "number") return String(Number(part.toFixed(2)));
    if (typeof part === "object" && part !== null) return literal(part);
    return JSON.stringify(part);
  };
  const fields = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{ ${fields.map(([name, part]) => `${name}: ${text(part)}`).join(", ")} }`;
}
