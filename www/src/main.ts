import { TinySamError, type Box, type Label, type Point, type TinySam } from "tinysam";
import { Benchmark } from "./benchmark.js";
import { isCheckpoint, type Checkpoint } from "./checkpoints.js";
import { element, onClick } from "./dom.js";
import { Engine } from "./engine.js";
import { FalTab } from "./fal.js";
import { watchKeyboard } from "./keyboard.js";
import { Machine, memoryOf, type Facts } from "./machine.js";
import { MaskList } from "./mask-list.js";
import { ModelChooser } from "./model-chooser.js";
import { keepForOffline } from "./offline.js";
import { Panel } from "./panel.js";
import { PhotoChooser } from "./photo-chooser.js";
import type { Photo } from "./photos.js";
import { watchPointer } from "./pointer.js";
import { Preview } from "./preview.js";
import { copyText, watchSaving } from "./saving.js";
import { toCode, type Work } from "./snippet.js";
import { Stage } from "./stage.js";
import { Tabs } from "./tabs.js";
import { Tools } from "./tools.js";
import { Viewer } from "./viewer.js";

const panel = new Panel();
const machine = new Machine();
const tools = new Tools();
const tabs = new Tabs("mask-tab", "fal-tab", "model-tab");
const viewer = new Viewer(element("canvas", HTMLCanvasElement));
const model = new ModelChooser(() => void load());

let photo: Photo | undefined;
/** The photo that was asked for last. */
let wanted: Promise<Photo> | undefined;
let sam: TinySam | undefined;
/** What was measured of the engine that runs. */
let measured: Omit<Facts, "checkpoint" | "caution" | "size"> = {};
/** The checkpoint that the thresholds were set for; the user's own stay, until another is chosen. */
let suggested: Checkpoint | undefined;
/** The engine died, and is on its way back. */
let recovering = false;

const engine = new Engine({
  progress: (progress) => panel.showProgress(progress),
  loaded(loaded, ms, phases) {
    sam = loaded;
    measured = { device: loaded.device, sha256: loaded.checkpointSha256, load: ms, phases };
    panel.showBusy(undefined);
    showMachine();
    panel.announce("The model is ready.");
    void keepForOffline(loaded.device.kind);
  },
  encoding() {
    allow(false);
    panel.showBusy("Encoding the photo…");
  },
  encoded(_image, ms) {
    panel.showBusy(undefined);
    allow(true);
    measured = { ...measured, encode: ms };
    showMachine();
    void showMemory();
    if (!recovering) return panel.announce("The photo is encoded. Click on it.");
    recovering = false;
    panel.showError(undefined);
    panel.notify("The engine was started again, and the photo is encoded.");
  },
  decoding: () => panel.showError(undefined),
  decoded: (masks) => stage.decoded(masks),
  timed,
  failed(error) {
    panel.showBusy(undefined);
    panel.showError(error);
    recovering = error instanceof TinySamError && (error.code === "crashed" || error.code === "device_lost");
    if (recovering) stage.forgetMasks();
  },
});
const stage = new Stage(engine, panel, showStage);
const preview = new Preview(engine, viewer, timed);
const list = new MaskList(stage, () => photo?.pixels);
const falTab = new FalTab({ photo: () => photo?.blob, work: falWork, copy: (code) => void copyText(panel, code, "The code is in the clipboard.") });
const benchmark = new Benchmark(panel, () => sam && photo && { sam, photo, facts: facts(), everything: stage.everything.wanted });
viewer.setLayers(stage.layers);

function allow(ready: boolean): void {
  stage.everything.allow(ready);
  benchmark.allow(ready);
}

function facts(): Facts {
  const { label, caution } = model.checkpoint;
  return { checkpoint: label, caution, size: model.size, ...measured };
}

function showMachine(): void {
  machine.show(facts());
}

function timed(decode: number): void {
  preview.measured(decode);
  measured = { ...measured, decode };
  showMachine();
}

async function showMemory(): Promise<void> {
  const asked = sam;
  const memory = asked && (await memoryOf(asked));
  if (memory === undefined || asked !== sam) return;
  measured = { ...measured, memory };
  showMachine();
}

function work(): Work {
  const { layers, everything, marks } = stage;
  return {
    weights: model.checkpoint.weights,
    device: model.device,
    size: model.size,
    everything: everything.holdsStage ? { options: everything.used, stoppedAfter: everything.wasStopped ? layers.all.length : undefined } : undefined,
    prompt: marks.prompt(),
    picked: layers.all.length > 1 && layers.picked !== undefined ? layers.all.indexOf(layers.picked) : -1,
    refinements: layers.all.map(({ refinements }) => refinements),
  };
}

/** Where nothing is marked, fal's call finds everything. */
function falWork(): Work {
  const now = work();
  const everything = now.everything ?? (stage.marks.isEmpty ? { options: stage.everything.wanted, stoppedAfter: undefined } : undefined);
  return { ...now, everything };
}

function showStage(): void {
  const { prompts, layers } = stage;
  if (!stage.isEmpty) preview.hide();
  falTab.showCode();
  viewer.setMarks(prompts.marks);
  panel.showStage(stage);
  list.update();
  element("undo", HTMLButtonElement).disabled = !prompts.canUndo;
  element("redo", HTMLButtonElement).disabled = !prompts.canRedo;
  element("clear", HTMLButtonElement).disabled = stage.isEmpty;
  element("mask-actions", HTMLElement).hidden = layers.all.length === 0;
}

async function openPhoto(opening: Promise<Photo>): Promise<void> {
  wanted = opening;
  let opened: Photo;
  try {
    opened = await opening;
  } catch (error) {
    return wanted === opening ? panel.showError(error) : undefined;
  }
  // One that was asked for later may have come sooner.
  if (wanted !== opening) return opened.pixels.close();
  photo = opened;
  panel.showError(undefined);
  preview.hide();
  viewer.setPhoto(photo.pixels);
  forgetCrosshair();
  stage.reset();
  engine.open(photo.blob);
  chooser.show(photo.name);
}

async function load(): Promise<void> {
  sam = undefined;
  measured = {};
  recovering = false;
  allow(false);
  stage.forgetMasks();
  showMachine();
  model.showNote();
  if (model.checkpoint !== suggested) stage.everything.suggest(model.checkpoint.least);
  suggested = model.checkpoint;
  panel.showError(undefined);
  panel.showBusy(undefined);
  if (await engine.load(model.options)) return;
  // Where only the page's own host is reached, the checkpoint beside the page lets it be tried.
  if (panel.errorCode !== "checkpoint_unreachable" || !model.chooseSpare()) return;
  panel.notify("The checkpoint cannot be reached from here: the one beside the page takes its place.");
  await load();
}

const commands = {
  point: (at: Point, label: Label) => stage.point(at, tools.chosen === "exclude" ? 0 : label),
  box: (box: Box, more: boolean) => stage.box(box, more || tools.chosen === "boxes"),
  hover(at: Point | undefined) {
    stage.hover(at);
    if (at !== undefined && stage.isEmpty && tools.chosen !== "exclude") preview.show(at);
    else preview.hide();
  },
  undo: () => stage.prompts.undo(),
  redo: () => stage.prompts.redo(),
  clear: () => stage.clear(),
  everything() {
    tabs.show("mask-tab");
    stage.toggleEverything();
  },
  refine: () => stage.refine(),
  say: (words: string) => panel.announce(words),
};
watchPointer(viewer, commands);
const forgetCrosshair = watchKeyboard(viewer, commands);
for (const id of ["undo", "redo", "clear", "everything", "refine"] as const) onClick(id, commands[id]);
onClick("zoom-in", () => (viewer.view.zoom(1.4), viewer.redraw()));
onClick("zoom-out", () => (viewer.view.zoom(1 / 1.4), viewer.redraw()));
onClick("zoom-fit", () => (viewer.view.fit(), viewer.redraw()));
onClick("device-chip", () => tabs.show("model-tab"));

watchSaving(panel, () => photo && { name: photo.name, pixels: photo.pixels, layers: stage.layers.chosen }, () => toCode(work()));
// The settings of everything are in fal's call.
element("everything-settings", HTMLElement).addEventListener("input", () => falTab.showCode());

const chooser = new PhotoChooser((opening) => void openPhoto(opening), (file) => !isCheckpoint(file), (file) => {
  model.add(file);
  void load();
});
chooser.openFirst();
showMachine();
await model.find();
await load();
