import { TinySamError, type Box, type Label, type Mask, type Point, type Prompt } from "tinysam";
import type { Engine } from "./engine.js";
import { EverythingMode } from "./everything.js";
import { Layers, type Layer } from "./layers.js";
import type { Mode, Panel } from "./panel.js";
import { Prompts } from "./prompts.js";

/**
 * What marks, masks and the engine do to each other. Marks make masks; where several masks are, by several boxes
 * or by everything mode, a click picks one of them, and the picked one can be refined by marks of its own.
 */
export class Stage {
  readonly layers: Layers;
  readonly everything: EverythingMode;
  readonly #engine: Engine;
  readonly #panel: Panel;
  readonly #changed: () => void;
  /** The marks that are the photo's, and not a refinement's. */
  readonly marks = new Prompts(() => this.#ask());
  /** Whose masks are shown, in their order. */
  #boxes: readonly Box[] = [];
  /** The mask that is being refined, as it was picked, what refined it before, and the marks that do now. */
  #refining: { readonly base: Mask; readonly before: readonly Prompt[]; readonly marks: Prompts } | undefined;

  /** Tells of every change of marks or masks. */
  constructor(engine: Engine, panel: Panel, changed: () => void) {
    this.#engine = engine;
    this.#panel = panel;
    this.#changed = changed;
    this.layers = new Layers(changed);
    this.everything = new EverythingMode(this.layers, panel, (options) => engine.everything(options), changed);
  }

  get prompts(): Prompts {
    return this.#refining?.marks ?? this.marks;
  }

  get isRefining(): boolean {
    return this.#refining !== undefined;
  }

  /** A click picks a mask, and marks nothing. */
  get isPicking(): boolean {
    const several = this.everything.isRunning || this.layers.all.length > (this.everything.shown === undefined ? 1 : 0);
    return !this.isRefining && several;
  }

  get isEmpty(): boolean {
    return this.prompts.isEmpty && this.layers.all.length === 0 && !this.everything.isRunning && !this.isRefining;
  }

  /** What a click does now, or what is to be said instead. */
  get mode(): Mode {
    if (this.isRefining) return "refine";
    if (this.everything.shown?.done && !this.everything.isRunning && this.layers.all.length === 0) return "none";
    return this.isPicking ? "pick" : this.layers.picked === undefined ? "mark" : "made";
  }

  /** Another engine would find the same by the marks alone: nothing would be lost. */
  get isReplaceable(): boolean {
    return this.everything.shown === undefined && !this.isRefining && this.layers.all.every(({ refinements }) => refinements.length === 0);
  }

  point(at: Point, label: Label): void {
    if (this.isPicking) return this.#pickAt(at);
    const { points, boxes } = this.prompts.marks;
    if (label === 0 && !this.isRefining && boxes.length === 0 && !points.some((point) => point.label === 1)) {
      return this.#panel.notify("Exclude takes away from a mask: first click what belongs to the object, or drag a box around it.");
    }
    if (!this.isRefining && boxes.length > 1) return this.#panel.notify("The boxes’ masks are on their way: then click the one to change.");
    this.prompts.addPoint(at, label);
  }

  box(box: Box, more: boolean): void {
    this.endRefinement();
    if (more) this.marks.addBox(box);
    else this.marks.setBox(box);
  }

  /** Picks this mask, or none if it was picked. */
  pick(layer: Layer): void {
    this.endRefinement();
    this.layers.pick(this.layers.picked === layer ? undefined : layer);
  }

  hover(at: Point | undefined): void {
    this.layers.light(at !== undefined && this.isPicking ? this.layers.at(at) : undefined);
  }

  /** Out of the refinement first, which stays; then everything goes. */
  clear(): void {
    if (this.isRefining) return this.endRefinement();
    this.marks.clear();
  }

  /** Everything mode, or the end of its run. */
  toggleEverything(): void {
    if (this.everything.isRunning) return this.everything.stop();
    this.endRefinement();
    this.marks.setEverything(this.everything.wanted);
  }

  refine(): void {
    const picked = this.layers.picked;
    if (this.isRefining) return this.endRefinement();
    if (picked === undefined || !this.isPicking) return;
    this.everything.stop();
    this.#refining = { base: picked.mask, before: picked.refinements, marks: new Prompts(() => this.#ask()) };
    this.#panel.announce("Refining the mask: mark what belongs to it and what does not.");
    this.#changed();
  }

  endRefinement(): void {
    const base = this.#refining?.base;
    if (base === undefined) return;
    this.#refining = undefined;
    this.#engine.segment(undefined);
    if (this.layers.picked?.mask !== base) base.free();
    this.#changed();
  }

  /** What the engine found. */
  decoded(masks: readonly Mask[]): void {
    const refining = this.#refining;
    const [first, ...rest] = masks;
    if (refining === undefined || first === undefined) return this.#show(masks);
    for (const mask of rest) mask.free();
    this.#try(this.layers.replacePicked(first, refining.base, [...refining.before, refining.marks.prompt()]));
  }

  /** Another photo. */
  reset(): void {
    this.forgetMasks();
    this.marks.reset();
  }

  /** The engine or the photo goes, and the masks with it; the marks stay for the next. */
  forgetMasks(): void {
    this.endRefinement();
    this.everything.leave();
    this.everything.forget();
    this.layers.clear();
  }

  /** There is an engine with the photo: what is marked is asked of it. */
  ask(): void {
    this.#ask();
  }

  /** What was refined of a box's mask is work, and stays as long as that box is one of several. */
  #show(masks: readonly Mask[]): void {
    const { boxes } = this.marks.marks;
    const { all } = this.layers;
    const refined = (all.length === this.#boxes.length ? all : []).map((layer, i) => ({ layer, box: this.#boxes[i] })).filter(({ layer }) => layer.refinements.length > 0);
    const kept = boxes.length < 2 ? [] : boxes.map((box) => refined.find((other) => String(other.box) === String(box))?.layer);
    this.#boxes = boxes;
    this.#try(this.layers.show(masks, kept));
  }

  #pickAt(at: Point): void {
    const layer = this.layers.at(at);
    if (layer === undefined && this.layers.picked === undefined) this.#panel.notify("There is no mask here: click one, or clear them to mark anew.");
    this.layers.pick(layer);
  }

  #ask(): void {
    const { prompts } = this;
    const refining = this.#refining;
    const everything = refining === undefined ? prompts.marks.everything : undefined;
    if (everything !== undefined) {
      if (this.everything.shown?.options !== everything) this.everything.leave();
      this.everything.show(everything);
      return this.#changed();
    }
    if (refining === undefined) this.everything.leave();
    this.#engine.segment(prompts.isEmpty ? undefined : prompts.prompt(), refining?.base);
    if (prompts.isEmpty && refining !== undefined) this.#try(this.layers.replacePicked(refining.base, refining.base, refining.before));
    if (prompts.isEmpty && refining === undefined) this.layers.clear();
    this.#changed();
  }

  #try(showing: Promise<void>): void {
    showing.catch((error: unknown) => {
      // A mask that was replaced while it was being read is nobody's concern.
      if (!(error instanceof TinySamError && error.code === "released")) this.#panel.showError(error);
    });
  }
}
