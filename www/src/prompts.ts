import type { Box, EverythingOptions, Label, Point, Prompt } from "tinysam";

/** What the user has marked: an immutable value, so that undo is a list of them. */
export interface Marks {
  readonly points: readonly { readonly at: Point; readonly label: Label }[];
  /** One of them goes with the points; several are a batch, without points. */
  readonly boxes: readonly Box[];
  /** Everything is asked for, and so: then nothing else is marked. Another object is another run. */
  readonly everything?: EverythingOptions;
}

/** A prompt as it is drawn here: of tuples alone. */
export interface Drawn extends Prompt {
  readonly points?: readonly Point[];
  readonly labels?: readonly Label[];
  readonly box?: Box;
  readonly boxes?: readonly Box[];
}

export const NOTHING: Marks = { points: [], boxes: [] };

/** The marks with their history. */
export class Prompts {
  #past: Marks[] = [];
  #future: Marks[] = [];
  #now: Marks = NOTHING;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get marks(): Marks {
    return this.#now;
  }

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  get isEmpty(): boolean {
    const { points, boxes, everything } = this.#now;
    return points.length === 0 && boxes.length === 0 && everything === undefined;
  }

  addPoint(at: Point, label: Label): void {
    const { points, boxes } = this.#now;
    this.#set({ points: [...points, { at, label }], boxes });
  }

  /** A new box is a new object: it starts over. */
  setBox(box: Box): void {
    this.#set({ points: [], boxes: [box] });
  }

  /** One more object beside those of the boxes before. */
  addBox(box: Box): void {
    this.#set({ points: [], boxes: [...this.#now.boxes, box] });
  }

  /** Looks for everything, once. */
  setEverything(everything: EverythingOptions): void {
    this.#set({ ...NOTHING, everything });
  }

  clear(): void {
    if (!this.isEmpty) this.#set(NOTHING);
  }

  /** For another photo, with the marks that a link has for it: what was marked goes, and the history. */
  reset(marks = NOTHING): void {
    this.#past = [];
    this.#future = [];
    this.#now = marks;
    this.#changed();
  }

  undo(): void {
    const before = this.#past.pop();
    if (before === undefined) return;
    this.#future.push(this.#now);
    this.#now = before;
    this.#changed();
  }

  redo(): void {
    const after = this.#future.pop();
    if (after === undefined) return;
    this.#past.push(this.#now);
    this.#now = after;
    this.#changed();
  }

  /** The marks as the package's prompt. */
  prompt(): Drawn {
    const { points, boxes } = this.#now;
    const [box, another] = boxes;
    if (another !== undefined) return { boxes };
    return {
      ...(points.length > 0 ? { points: points.map(({ at }) => at), labels: points.map(({ label }) => label) } : {}),
      ...(box === undefined ? {} : { box }),
    };
  }

  #set(marks: Marks): void {
    this.#past.push(this.#now);
    this.#future = [];
    this.#now = marks;
    this.#changed();
  }
}
