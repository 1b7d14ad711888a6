import { DEFAULT_WEIGHTS, type LoadOptions } from "tinysam";

/** A checkpoint that the page can load, and what people should know of it. */
export interface Checkpoint {
  readonly label: string;
  readonly note: string;
  readonly weights: Pick<LoadOptions, "weights" | "sha256">;
  /** Its masks mean something: it is trained. */
  readonly trained: boolean;
}

export const OFFICIAL: Checkpoint = {
  label: "TinySAM, official",
  note: "40.7 MB from huggingface.co/xinghaochen/tinysam, its hash checked; kept for the next visit.",
  weights: { weights: DEFAULT_WEIGHTS.url, sha256: DEFAULT_WEIGHTS.sha256 },
  trained: true,
};

/** The checkpoints on offer, the one to begin with first. */
export async function findCheckpoints(): Promise<Checkpoint[]> {
  const beside = (await listBeside()).map(fromPage);
  const asked = new URLSearchParams(location.search).get("weights");
  return [
    ...(asked === null ? [] : [fromUrl(asked)]),
    ...beside.filter(({ trained }) => trained),
    OFFICIAL,
    ...beside.filter(({ trained }) => !trained),
  ];
}

export function fromFile(file: File): Checkpoint {
  return { label: file.name, note: "From a file of yours; it stays on this machine.", weights: { weights: file }, trained: true };
}

/** Does this file look like a checkpoint, and not like a photo? */
export function isCheckpoint(file: File): boolean {
  return /\.(pth|pt|safetensors)$/i.test(file.name);
}

function fromUrl(address: string): Checkpoint {
  return fromWhere(address, `From ${address}, as this page's address asks.`);
}

function fromPage(name: string): Checkpoint {
  return fromWhere(`./models/${name}`, "Served beside this page.");
}

function fromWhere(address: string, origin: string): Checkpoint {
  const trained = !isFormula(address);
  const warning = trained ? "" : " Random test weights: everything runs, but the masks mean nothing.";
  return { label: lastPart(address), note: origin + warning, weights: { weights: address }, trained };
}

/** The test checkpoint, whose weights are a formula and not learnt. */
function isFormula(name: string): boolean {
  return /formula/i.test(lastPart(name));
}

function lastPart(address: string): string {
  return address.split(/[?#]/)[0]?.split("/").pop() || address;
}

async function listBeside(): Promise<string[]> {
  try {
    const list: unknown = await (await fetch("./models/index.json")).json();
    return Array.isArray(list) ? list.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}
