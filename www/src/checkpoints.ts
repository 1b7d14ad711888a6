import { DEFAULT_WEIGHTS, type LoadOptions } from "tinysam";

/** A checkpoint that the page can load, and what people should know of it. */
export interface Checkpoint {
  readonly label: string;
  readonly note: string;
  /** What it is not good for, in few words; empty if there is nothing to warn of. */
  readonly caution: string;
  readonly weights: Pick<LoadOptions, "weights" | "sha256">;
  /** What a link calls it: its address. The official one needs none, and a file of the user's has none. */
  readonly link?: string;
  /** The side at which it works best: about the one that it was trained at. */
  readonly size: number;
  /** The score and the stability from which on its masks are worth showing, when everything is segmented. */
  readonly least: { readonly score: number; readonly stability: number };
  /** It is small and of the page's own host: it stands in for the official one where that has not come, or cannot. */
  readonly spare: boolean;
  /** The samples that it has encoded beforehand. */
  readonly encoded?: readonly EncodedSample[];
}

/** A sample's embedding beside the page. */
export interface EncodedSample {
  /** The sample's file. */
  readonly photo: string;
  readonly address: string;
  /** The side at which the network saw it. */
  readonly size: number;
}

/** Of TinySAM and MobileSAM, from the paper. */
const USUAL = { size: 1024, least: { score: 0.88, stability: 0.95 } } as const;

export const OFFICIAL: Checkpoint = {
  label: "TinySAM, official",
  note: "40.7 MB from huggingface.co/xinghaochen/tinysam or a mirror, its hash checked; kept for the next visit.",
  caution: "",
  weights: { weights: DEFAULT_WEIGHTS.urls, sha256: DEFAULT_WEIGHTS.sha256 },
  ...USUAL,
  spare: false,
};

/** What the browser would have to download for the official checkpoint, in words. */
export const OFFICIAL_BYTES = "40.7 MB";

/**
 * The checkpoints on offer, the one to begin with first: what the address asks for, else the official one, whose masks
 * are the best by far. Those beside the page are for a first look, and for where there is no other network.
 */
export async function findCheckpoints(asked: string | undefined): Promise<Checkpoint[]> {
  const beside = (await listBeside()).map(fromPage);
  const known = beside.find(({ link }) => link === asked);
  if (known !== undefined) return [known, OFFICIAL, ...beside.filter((other) => other !== known)];
  return [...(asked === undefined ? [] : [fromUrl(asked)]), OFFICIAL, ...beside];
}

export function fromFile(file: File): Checkpoint {
  return { label: file.name, note: "From a file of yours; it stays on this machine.", caution: "", weights: { weights: file }, ...USUAL, spare: false };
}

/** Has the package kept the official checkpoint at an earlier visit? */
export async function isOfficialKept(): Promise<boolean> {
  try {
    for (const address of DEFAULT_WEIGHTS.urls) if ((await caches.match(address)) !== undefined) return true;
  } catch {
    // There are no caches here, or they are forbidden.
  }
  return false;
}

function fromUrl(address: string): Checkpoint {
  return { ...named(address, `From ${address}, as this page’s address asks.`), weights: { weights: address }, spare: false };
}

/** A file that vite.config.ts found in public/models, and what it found in public/photos/encoded that this has encoded. */
interface Listed {
  readonly name: string;
  readonly sha256: string;
  readonly encoded?: readonly EncodedSample[];
}

function fromPage({ name, sha256, encoded = [] }: Listed): Checkpoint {
  const address = `./models/${name}`;
  return { ...named(address, "Served beside this page."), weights: { weights: address, sha256 }, spare: SPARE.test(name), encoded };
}

function named(address: string, origin: string): Omit<Checkpoint, "spare" | "weights"> {
  const label = address.split(/[?#]/)[0]?.split("/").pop() || address;
  const { note = "", caution = "", size = USUAL.size, least = USUAL.least } = KNOWN.find(({ name }) => name.test(label)) ?? {};
  return { label, note: `${origin} ${note}`, caution, link: address, size, least };
}

const SPARE = /tinysam-photos/i;

/** What is known of checkpoints of the project's own. */
const KNOWN: readonly ({ readonly name: RegExp } & Pick<Checkpoint, "note" | "caution"> & Partial<Checkpoint>)[] = [
  { name: /formula/i, note: "Random test weights: everything runs, but the masks mean nothing.", caution: "random: its masks mean nothing" },
  {
    name: SPARE,
    note: "Trained by this project on drawn scenes and a few photos, not TinySAM’s own weights: good for trying the page, not for cutting anything out.",
    caution: "for trying the page only",
    size: 320,
    least: { score: 0.4, stability: 0.4 },
  },
];

async function listBeside(): Promise<Listed[]> {
  try {
    const list: unknown = await (await fetch("./models/index.json", { cache: "no-cache" })).json();
    return Array.isArray(list) ? list.filter(isListed) : [];
  } catch {
    return [];
  }
}

function isListed(entry: unknown): entry is Listed {
  return typeof entry === "object" && entry !== null && "name" in entry && typeof entry.name === "string" && "sha256" in entry && typeof entry.sha256 === "string";
}
