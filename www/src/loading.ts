import { TinySam, TinySamError, type Progress } from "tinysam";
import { isOfficialKept, OFFICIAL, OFFICIAL_BYTES } from "./checkpoints.js";
import { megabytes, onClick } from "./dom.js";
import type { Engine } from "./engine.js";
import { optionsOf, type Choice, type ModelChooser } from "./model-chooser.js";
import type { Panel } from "./panel.js";
import { PhaseClock } from "./phases.js";
import type { Model } from "./state.js";

/** What is wrong with a checkpoint's address or its host, and not with this machine. */
const UNREACHABLE = new Set(["checkpoint_unreachable", "checkpoint_hash", "checkpoint_invalid"]);

/**
 * Loads what is chosen, while what was goes on working. At a first visit the small checkpoint beside the page comes first:
 * the official one downloads behind it, and takes its place.
 */
export class Loading {
  readonly #chooser: ModelChooser;
  readonly #engine: Engine;
  readonly #panel: Panel;
  /** What works, or is about to. */
  #works: Choice | undefined;
  /** What is to come behind the small checkpoint, and whether its download has begun. */
  #behind: { readonly choice: Choice; readonly begun: boolean } | undefined;
  #loading = new AbortController();
  #fetching = new AbortController();

  constructor(chooser: ModelChooser, engine: Engine, panel: Panel) {
    this.#chooser = chooser;
    this.#engine = engine;
    this.#panel = panel;
    onClick("behind-stop", () => {
      this.#stopBehind();
      panel.notify("Stopped. TinySAM’s own weights can be chosen under “Model”.");
    });
  }

  /** The address of the checkpoint for a link; the small one that stands in for the official one is not meant. */
  get link(): string | undefined {
    return this.#behind === undefined ? this.#works?.checkpoint.link : undefined;
  }

  /** The first model, as the page's address asks; `chosen` hears which, before it is loaded. */
  async begin(asked: string | undefined, chosen: () => void): Promise<void> {
    await this.#chooser.find(asked);
    const choice = this.#chooser.choice;
    const { spare } = this.#chooser;
    if (choice.checkpoint === OFFICIAL && spare !== undefined && !(await isOfficialKept())) {
      this.#behind = { choice, begun: false };
      this.#chooser.show({ ...choice, checkpoint: spare });
    }
    chosen();
    await this.#load();
  }

  /** Another checkpoint or device was chosen. */
  async choose(): Promise<void> {
    const { checkpoint, device } = this.#chooser.choice;
    const behind = this.#behind?.choice;
    if (behind?.checkpoint === checkpoint && behind.device === device && this.#works !== undefined) {
      this.#chooser.show(this.#works);
      return this.#panel.notify("These weights are on their way.");
    }
    this.#stopBehind();
    // The small one on another device is not all that is wanted there: the official one still comes behind it.
    if (behind !== undefined && checkpoint === this.#chooser.spare) this.#behind = { choice: { ...behind, device }, begun: false };
    if ((await this.#load()) || behind === undefined || this.#works === undefined) return;
    // What was chosen has failed, and nothing of what was there before is lost by it.
    this.#behind = { choice: { ...behind, device: this.#works.device }, begun: false };
    if (this.#engine.image !== undefined) this.goOn();
  }

  /** This model has encoded the photo, and is used from now on. */
  encoded(model: Model): void {
    const isNew = this.#works !== model.choice;
    this.#works = model.choice;
    this.#chooser.show(model.choice);
    if (model.patient && isNew) this.#panel.notify("TinySAM’s own weights have taken the place of the small checkpoint.");
  }

  /** This model goes on being used: what was chosen instead could not encode the photo. */
  kept(model: Model): void {
    this.#works = model.choice;
    this.#chooser.show(model.choice);
    this.#chooser.showSize(model.size, model.choice.checkpoint);
  }

  /** A first mask is on the screen. Not before: it comes sooner without another engine beside it. */
  goOn(): void {
    if (this.#behind?.begun === false) void this.#fetchBehind(this.#behind.choice);
  }

  /** Whether it has not failed: what is called off for another has not. */
  async #load(): Promise<boolean> {
    this.#loading.abort();
    const { signal } = (this.#loading = new AbortController());
    const { choice } = this.#chooser;
    this.#chooser.show(choice);
    this.#panel.showError(undefined);
    let model: Model;
    try {
      model = await this.#open(choice, false, signal, (progress) => this.#panel.showProgress(progress));
    } catch (error) {
      if (signal.aborted) return true;
      this.#panel.showBusy("load", undefined);
      return this.#failed(choice, error);
    }
    this.#panel.showBusy("load", undefined);
    this.#panel.announce("The model is ready.");
    this.#works = choice;
    this.#engine.use(model);
    return true;
  }

  /** What works goes on; where nothing does, the checkpoint beside the page lets it be tried. */
  async #failed(choice: Choice, error: unknown): Promise<boolean> {
    const spare = this.#chooser.spare;
    if (this.#works !== undefined) this.#chooser.show(this.#works);
    else if (this.#behind !== undefined) {
      this.#chooser.show(this.#behind.choice);
      this.#behind = undefined;
      return this.#load();
    } else if (spare !== undefined && spare !== choice.checkpoint && error instanceof TinySamError && UNREACHABLE.has(error.code)) {
      this.#panel.notify("The checkpoint cannot be reached from here: the one beside the page takes its place.");
      this.#chooser.show({ ...choice, checkpoint: spare });
      return this.#load();
    }
    this.#panel.showError(error);
    return false;
  }

  async #fetchBehind(choice: Choice): Promise<void> {
    if (isDataSaved()) {
      this.#behind = undefined;
      return this.#panel.notify(`A small checkpoint, as the browser saves data: TinySAM’s own (${OFFICIAL_BYTES}) is under “Model”.`);
    }
    this.#behind = { choice, begun: true };
    const { signal } = (this.#fetching = new AbortController());
    this.#panel.notify(`A small checkpoint to begin with: TinySAM’s own weights, ${OFFICIAL_BYTES}, come behind it.`);
    this.#panel.showBehind(`TinySAM’s own weights, ${OFFICIAL_BYTES}`);
    try {
      const model = await this.#open(choice, true, signal, ({ phase, loaded, total }) => {
        if (phase !== "download" || loaded === undefined || total === undefined) return;
        this.#panel.showBehind(`TinySAM’s own weights: ${megabytes(loaded)} of ${megabytes(total)} MB`);
      });
      this.#engine.use(model);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof TinySamError && UNREACHABLE.has(error.code) ? "cannot be reached from here" : "cannot be used here";
      this.#panel.notify(`TinySAM’s own weights ${why}: the one beside the page stays.`);
    }
    this.#behind = undefined;
    this.#panel.showBehind(undefined);
  }

  #stopBehind(): void {
    this.#fetching.abort();
    this.#behind = undefined;
    this.#panel.showBehind(undefined);
  }

  async #open(choice: Choice, patient: boolean, signal: AbortSignal, tell: (progress: Progress) => void): Promise<Model> {
    const begun = performance.now();
    const clock = new PhaseClock();
    const onProgress = (progress: Progress) => {
      clock.at(progress.phase);
      tell(progress);
    };
    const sam = await TinySam.load({ ...optionsOf(choice), signal, onProgress });
    clock.at(undefined);
    return { sam, choice, size: this.#chooser.sizeFor(choice.checkpoint), patient, load: performance.now() - begun, phases: clock.times };
  }
}

/** The visitor has asked the browser to download little. */
function isDataSaved(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
}
