import { DEFAULT_WEIGHTS, type LoadOptions } from "tinysam";

/** A checkpoint that the page can load, and what people should know of it. */
export interface Checkpoint {
  readonly label: string;
  readonly note: string;
  /** What it is not good for, in few words; empty if there is nothing to warn of. */
  readonly caution: string;
  readonly weights: Pick<LoadOptions, "weights" | "sha256">;
  /** The side at which it works best: about the one that it was trained at. */
  readonly size: number;
  /** The score and the stability from which on its masks are worth showing, when everything is segmented. */
  readonly least: { readonly score: number; readonly stability: number };
  /** It comes from the page's own host, so that it loads where nothing else does. */
  readonly beside: boolean;
}

/** Of TinySAM and MobileSAM, from the paper. */
const USUAL = { size: 1024, least: { score: 0.88, stability: 0.95 } } as const;

export const OFFICIAL: Checkpoint = {
  label: "TinySAM, official",
  note: "40.7 MB from huggingface.co/xinghaochen/tinysam, its hash checked; kept for the next visit.",
  caution: "",
  weights: { weights: DEFAULT_WEIGHTS.url, sha256: DEFAULT_WEIGHTS.sha256 },
  ...USUAL,
  beside: false,
};

/**
 * The checkpoints on offer, the one to begin with first: what the address asks for, else the official one, whose masks
 * are the best by far. Those beside the page are for where there is no other network.
 */
export async function findCheckpoints(): Promise<Checkpoint[]> {
  const asked = new URLSearchParams(location.search).get("weights");
  return [...(asked === null ? [] : [fromUrl(asked)]), OFFICIAL, ...(await listBeside()).map(fromPage)];
}

export function fromFile(file: File): Checkpoint {
  return { label: file.name, note: "From a file of yours; it stays on this machine.", caution: "", weights: { weights: file }, ...USUAL, beside: false };
}

/** Does this file look like a checkpoint, and not like a photo? */
export function isCheckpoint(file: File): boolean {
  return /\.(pth|pt|safetensors)$/i.test(file.name);
}

function fromUrl(address: string): Checkpoint {
  return { ...named(address, `From ${address}, as this page’s address asks.`), beside: false };
}

function fromPage(name: string): Checkpoint {
  return { ...named(`./models/${name}`, "Served beside this page."), beside: true };
}

function named(address: string, origin: string): Omit<Checkpoint, "beside"> {
  const label = lastPart(address);
  const { note = "", caution = "", size = USUAL.size, least = USUAL.least } = KNOWN.find(({ name }) => name.test(label)) ?? {};
  return { label, note: `${origin} ${note}`, caution, weights: { weights: address }, size, least };
}

/** What is known of checkpoints of the project's own. */
const KNOWN: readonly ({ readonly name: RegExp } & Pick<Checkpoint, "note" | "caution"> & Partial<Checkpoint>)[] = [
  { name: /formula/i, note: "Random test weights: everything runs, but the masks mean nothing.", caution: "random: its masks mean nothing" },
  {
    name: /tinysam-synthetic/i,
    note: "Trained by this project on drawn scenes, not TinySAM’s own weights: good for trying the page, not for cutting anything out.",
    caution: "for trying the page only",
    size: 320,
    least: { score: 0.35, stability: 0.7 },
  },
];

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
