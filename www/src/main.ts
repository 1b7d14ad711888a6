import type { Box, Label, Point } from "tinysam";
import { Benchmark } from "./benchmark.js";
import type { Checkpoint } from "./checkpoints.js";
import { element, onClick } from "./dom.js";
import { savedSample } from "./encoding.js";
import { Engine } from "./engine.js";
import { FalTab } from "./fal.js";
import { watchKeyboard } from "./keyboard.js";
import { readLink } from "./link.js";
import { Loading } from "./loading.js";
import { Machine, memoryOf, type Facts } from "./machine.js";
import { MaskList } from "./mask-list.js";
import { ModelChooser } from "./model-chooser.js";
import { keepForOffline } from "./offline.js";
import { Panel } from "./panel.js";
import { PhotoChooser } from "./photo-chooser.js";
import { sampleOf, type Photo } from "./photos.js";
import { watchPointer } from "./pointer.js";
import { Preview } from "./preview.js";
import type { Marks } from "./prompts.js";
import { copyText, watchSaving } from "./saving.js";
import { watchSharing, type Shared } from "./sharing.js";
import { toCode } from "./snippet.js";
import { Stage } from "./stage.js";
import { State, type Model } from "./state.js";
import { Tabs } from "./tabs.js";
import { Tools } from "./tools.js";
import { Viewer } from "./viewer.js";
import { falWork, work } from "./work.js";

const asked = readLink(location);
const panel = new Panel();
const machine = new Machine();
const tools = new Tools();
const tabs = new Tabs("mask-tab", "fal-tab", "model-tab");
const viewer = new Viewer(element("canvas", HTMLCanvasElement));
const state = new State(() => machine.show(facts()));
const chooser = new ModelChooser(
  asked,
  () => void loading.choose(),
  () => engine.resize(({ choice }) => chooser.sizeFor(choice.checkpoint)),
);

const engine = new Engine({
  encoding(working) {
    if (!working) allow(false);
    panel.showBusy("encode", "Encoding the photo…");
  },
  encoded(model, encode) {
    panel.showBusy("encode", undefined);
    const { recovering, model: before } = state.now;
    // What measures another model has lost it, and its masks are not this one's.
    if (before?.sam !== model.sam) benchmark.allow(false);
    if (before !== undefined) stage.forgetMasks();
    state.change({ model, encode, recovering: false });
    allow(true);
    suggest(model.choice.checkpoint);
    loading.encoded(model);
    void showMemory(model);
    void keepForOffline(model.sam.device.kind);
    stage.ask();
    void greet();
    if (!recovering) return panel.announce("The photo is encoded. Click on it.");
    panel.showError(undefined);
    panel.notify("The engine was started again, and the photo is encoded.");
  },
  decoding: () => panel.showError(undefined),
  decoded: (masks) => stage.decoded(masks),
  timed,
  mayReplace() {
    if (stage.isReplaceable) return true;
    panel.showBusy("encode", undefined);
    return false;
  },
  failed(error, recovering) {
    panel.showBusy("encode", undefined);
    panel.showError(error, recovering);
    state.change({ recovering });
    if (!recovering) return engine.model && loading.kept(engine.model);
    stage.forgetMasks();
    // What brought it down is not begun again unasked.
    if (stage.marks.marks.everything !== undefined) stage.marks.clear();
  },
});
const stage: Stage = new Stage(engine, panel, showStage);
const loading = new Loading(chooser, engine, panel);
const preview = new Preview(engine, viewer, timed);
const list = new MaskList(stage, () => state.now.photo?.pixels);
const falTab = new FalTab({ photo: () => state.now.photo?.blob, work: () => falWork(stage, state.now, chooser), copy: (code) => void copyText(panel, code, "The code is in the clipboard.") });
const benchmark = new Benchmark(panel, () => {
  const { model, photo } = state.now;
  return model && photo && { sam: model.sam, photo, facts: facts(), everything: stage.everything.wanted };
});
viewer.setLayers(stage.layers);

function allow(ready: boolean): void {
  stage.everything.allow(ready);
  benchmark.allow(ready);
}

/** Of the model in use, or of the one that is to come. */
function facts(): Facts {
  const { model, encode, decode, memory } = state.now;
  const { checkpoint } = model?.choice ?? chooser.choice;
  const { label, caution } = checkpoint;
  const known = model && { device: model.sam.device, sha256: model.sam.checkpointSha256, load: model.load, phases: model.phases };
  return { checkpoint: label, caution, size: model?.size ?? chooser.sizeFor(checkpoint), ...known, encode, decode, memory };
}

function timed(decode: number): void {
  preview.measured(decode);
  state.change({ decode });
}

async function showMemory(model: Model): Promise<void> {
  const memory = await memoryOf(model.sam);
  if (model === state.now.model) state.change({ memory });
}

/** The checkpoint that the thresholds were set for; the user's own stay, until another is chosen. */
let suggested: Checkpoint | undefined;

function suggest(checkpoint: Checkpoint): void {
  if (checkpoint !== suggested) stage.everything.suggest(checkpoint.least);
  suggested = checkpoint;
}

/** A first mask by itself, where it shows what a click does. */
async function greet(): Promise<void> {
  const photo = state.now.photo;
  if (photo !== undefined && stage.isEmpty) await preview.greet(sampleOf(photo.link)?.at ?? [photo.pixels.width / 2, photo.pixels.height / 2]);
  // When it is drawn.
  requestAnimationFrame(() => loading.goOn());
}

function scene() {
  const { photo } = state.now;
  return photo && engine.image && { name: photo.name, image: engine.image, layers: stage.layers.chosen };
}

function showStage(): void {
  const { prompts, layers, mode } = stage;
  if (!stage.isEmpty) preview.hide();
  falTab.showCode();
  viewer.setMarks(prompts.marks);
  panel.showStage(mode, layers.picked?.mask);
  list.update();
  element("undo", HTMLButtonElement).disabled = !prompts.canUndo;
  element("redo", HTMLButtonElement).disabled = !prompts.canRedo;
  element("clear", HTMLButtonElement).disabled = stage.isEmpty;
  element("mask-actions", HTMLElement).hidden = layers.all.length === 0;
  // Not in the middle of what has changed the stage.
  queueMicrotask(() => engine.settle());
}

function shared(): Shared {
  const { photo, model } = state.now;
  const size = chooser.chosenSize;
  const link = { photo: photo?.link, weights: loading.link, size: size?.toString(), marks: stage.marks.marks };
  return { link, isOwnCheckpoint: model?.choice.checkpoint.weights.weights instanceof Blob };
}

/** After so many milliseconds a photo is said to be on its way. */
const SLOW_MS = 300;

/** The photo that was asked for last. */
let wanted: Promise<Photo> | undefined;
let wantedSample: string | undefined;

/** What the address marks on the first photo, and on no other. */
let linked: Marks | undefined = asked.marks;

/** If it is a sample, its embedding comes while photo and model do. */
function expectSample(): void {
  const { model } = state.now;
  const { checkpoint } = model?.choice ?? chooser.choice;
  void savedSample(wantedSample, checkpoint, model?.size ?? chooser.sizeFor(checkpoint));
}

async function openPhoto(opening: Promise<Photo>, sample?: string): Promise<void> {
  wanted = opening;
  wantedSample = sample;
  expectSample();
  const marks = linked;
  linked = undefined;
  const slow = setTimeout(() => wanted === opening && panel.showBusy("photo", "Fetching the photo…"), SLOW_MS);
  let photo: Photo;
  try {
    photo = await opening;
  } catch (error) {
    return wanted === opening ? panel.showError(error) : undefined;
  } finally {
    clearTimeout(slow);
    if (wanted === opening) panel.showBusy("photo", undefined);
  }
  // One that was asked for later may have come sooner.
  if (wanted !== opening) return photo.pixels.close();
  state.change({ photo });
  panel.showError(undefined);
  preview.hide();
  viewer.setPhoto(photo.pixels);
  forgetCrosshair();
  stage.reset();
  engine.open(photo);
  if (marks !== undefined) stage.marks.reset(marks);
  photos.show(photo);
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
onClick("copy-install", () => void copyText(panel, element("install", HTMLElement).textContent ?? "", "The line is in the clipboard."));

watchSaving(panel, scene, () => toCode(work(stage, state.now, chooser)));
watchSharing(panel, shared, scene);
// The settings of everything are in fal's call.
element("everything-settings", HTMLElement).addEventListener("input", () => falTab.showCode());
// A link that is opened in this tab differs after `#` alone.
addEventListener("hashchange", () => location.reload());

const photos = new PhotoChooser((opening, sample) => void openPhoto(opening, sample), (file) => {
  chooser.add(file);
  void loading.choose();
});
photos.openFirst(asked.photo);
machine.show(facts());
await loading.begin(asked.weights, expectSample);
