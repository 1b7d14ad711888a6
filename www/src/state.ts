import type { TinySam } from "tinysam";
import type { Choice } from "./model-chooser.js";
import type { PhaseTimes } from "./phases.js";
import type { Photo } from "./photos.js";

/** A model that is loaded, and how it is to be used. */
export interface Model {
  readonly sam: TinySam;
  /** What was chosen when it was loaded. */
  readonly choice: Choice;
  /** The side at which it sees photos. */
  readonly size: number;
  /** It takes the place of another only where no work would be lost. */
  readonly patient: boolean;
  /** How long it took to load, in milliseconds, and its phases. */
  readonly load: number;
  readonly phases: PhaseTimes;
}

/** How long a photo took to encode, or that it came encoded, which took nobody's time here. */
export type Encoding = number | "beforehand";

/** What the page knows beside the marks and masks, which are the stage's. Times are in milliseconds, memory in bytes. */
export interface PageState {
  /** The photo on the stage. */
  readonly photo: Photo | undefined;
  /** The model that has encoded it, and is asked. */
  readonly model: Model | undefined;
  readonly encode: Encoding | undefined;
  readonly decode: number | undefined;
  readonly memory: number | undefined;
  /** The engine died, and is on its way back. */
  readonly recovering: boolean;
}

/** The page's state, in one place: who shows a part of it is told when it has changed. */
export class State {
  #now: PageState = { photo: undefined, model: undefined, encode: undefined, decode: undefined, memory: undefined, recovering: false };
  readonly #changed: (now: PageState) => void;

  constructor(changed: (now: PageState) => void) {
    this.#changed = changed;
  }

  get now(): PageState {
    return this.#now;
  }

  change(part: Partial<PageState>): void {
    this.#now = { ...this.#now, ...part };
    this.#changed(this.#now);
  }
}
