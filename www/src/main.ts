import { TinySamError, type TinySam } from "tinysam";
import { findCheckpoints, fromFile, isCheckpoint, type Checkpoint } from "./checkpoints.js";
import { element, save } from "./dom.js";
import { Engine } from "./engine.js";
import { FalTab } from "./fal.js";
import { watchKeyboard } from "./keyboard.js";
import { MaskList } from "./mask-list.js";
import { Panel, type Timings } from "./panel.js";
import { fetchPhoto, readPhoto, SAMPLES, watchFiles, type Photo } from "./photos.js";
import { watchPointer } from "./pointer.js";
import { Stage } from "./stage.js";
import { Viewer } from "./viewer.js";

const panel = new Panel();
const viewer = new Viewer(element("canvas", HTMLCanvasElement));
const chooser = element("checkpoint", HTMLSelectElement);
const deviceChooser = element("device", HTMLSelectElement);
const sizeChooser = element("size", HTMLSelectElement);

let checkpoints: Checkpoint[] = [];
let photo: Photo | undefined;
let sam: TinySam | undefined;
let timings: Timings = {};

const engine = new Engine({
  progress: (progress) => panel.showProgress(progress),
  loaded(loaded, ms) {
    sam = loaded;
    timings = { load: ms };
    panel.hideProgress();
    showMachine();
    panel.announce("The model is ready.");
  },
  encoding() {
    stage.everything.allow(false);
    panel.showBusy("Encoding the photo…");
  },
  encoded(_image, ms) {
    panel.showBusy(undefined);
    stage.everything.allow(true);
    timings = { ...timings, encode: ms };
    showMachine();
    panel.announce("The photo is encoded. Click on it.");
  },
  decoding: () => panel.showError(undefined),
  decoded(masks, ms) {
    timings = { ...timings, decode: ms };
    showMachine();
    stage.decoded(masks);
  },
  failed(error) {
    panel.showBusy(undefined);
    panel.hideProgress();
    panel.showError(error);
    if (error instanceof TinySamError && (error.code === "crashed" || error.code === "device_lost")) stage.forgetMasks();
  },
});
const stage = new Stage(engine, panel, showStage);
const list = new MaskList(stage, () => photo?.pixels);
viewer.setLayers(stage.layers);

function showMachine(): void {
  panel.showDevice(sam?.device);
  panel.showMachine(sam?.device, sam?.checkpointSha256 ?? "", timings);
}

const falTab = new FalTab({
  photo: () => photo?.blob,
  prompt: () => stage.prompts.prompt(),
  size: () => Number(sizeChooser.value),
  settings: () => ({
    ...checkpoints[Number(chooser.value)]?.weights,
    device: deviceChooser.value as "auto" | "webgpu" | "cpu",
  }),
});

function showStage(): void {
  const { prompts, layers } = stage;
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
  try {
    photo = await opening;
  } catch (error) {
    return panel.showError(error);
  }
  panel.showError(undefined);
  viewer.setPhoto(photo.pixels);
  forgetCrosshair();
  stage.reset();
  engine.open(photo.blob);
  for (const sample of element("samples", HTMLElement).querySelectorAll("button")) {
    sample.setAttribute("aria-pressed", String(sample.title === photo.name));
  }
}

function takeFiles(files: readonly File[]): void {
  const [file] = files;
  if (file === undefined) return;
  if (!isCheckpoint(file)) return void openPhoto(readPhoto(file, file.name));
  checkpoints = [fromFile(file), ...checkpoints];
  listCheckpoints();
  void load();
}

function listCheckpoints(): void {
  chooser.replaceChildren(...checkpoints.map(({ label }, i) => new Option(label, String(i))));
}

async function load(): Promise<void> {
  const chosen = Number(chooser.value);
  const checkpoint = checkpoints[chosen];
  if (checkpoint === undefined) return;
  sam = undefined;
  timings = {};
  stage.everything.allow(false);
  stage.forgetMasks();
  falTab.showCode();
  showMachine();
  panel.showError(undefined);
  panel.showBusy(undefined);
  element("checkpoint-note", HTMLElement).textContent = checkpoint.note;
  const device = deviceChooser.value as "auto" | "webgpu" | "cpu";
  const loaded = await engine.load({ ...checkpoint.weights, device, size: Number(sizeChooser.value) });
  // Without a network the checkpoint beside the page, even an untrained one, lets the page be tried.
  const spare = checkpoints.findIndex(({ trained }) => !trained);
  if (loaded || !checkpoint.trained || spare < 0 || element("error", HTMLElement).dataset.code !== "checkpoint_unreachable") return;
  chooser.value = String(spare);
  await load();
}

const commands = {
  point: stage.point.bind(stage),
  box: stage.box.bind(stage),
  hover: stage.hover.bind(stage),
  undo: () => stage.prompts.undo(),
  redo: () => stage.prompts.redo(),
  clear: () => stage.clear(),
  everything: () => stage.toggleEverything(),
  refine: () => stage.refine(),
  say: (words: string) => panel.announce(words),
};
watchPointer(viewer, commands);
const forgetCrosshair = watchKeyboard(viewer, commands);
watchFiles(document.body, takeFiles);

function onClick(id: string, act: () => void): void {
  element(id, HTMLButtonElement).addEventListener("click", act);
}
onClick("undo", commands.undo);
onClick("redo", commands.redo);
onClick("clear", commands.clear);
onClick("everything", commands.everything);
onClick("refine", commands.refine);
onClick("zoom-in", () => (viewer.view.zoom(1.4), viewer.redraw()));
onClick("zoom-out", () => (viewer.view.zoom(1 / 1.4), viewer.redraw()));
onClick("zoom-fit", () => (viewer.view.fit(), viewer.redraw()));
onClick("save-cutout", () => void saveMask("cutout"));
onClick("save-mask", () => void saveMask("mask"));

async function saveMask(kind: "cutout" | "mask"): Promise<void> {
  const mask = stage.layers.chosen[0]?.mask;
  try {
    if (mask !== undefined) save(await mask.toBlob(kind), `${photo?.name.replace(/\.\w+$/, "") ?? "photo"}-${kind}.png`);
  } catch (error) {
    panel.showError(error);
  }
}

for (const id of ["photo-file", "checkpoint-file"]) {
  const input = element(id, HTMLInputElement);
  input.addEventListener("change", () => {
    takeFiles([...(input.files ?? [])]);
    input.value = "";
  });
}
for (const select of [chooser, deviceChooser, sizeChooser]) select.addEventListener("change", () => void load());

element("samples", HTMLElement).append(
  ...SAMPLES.map(({ file, title }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = title;
    const picture = new Image();
    picture.src = `./photos/${file}`;
    picture.alt = title;
    button.append(picture);
    button.addEventListener("click", () => void openPhoto(fetchPhoto(picture.src, title)));
    return button;
  }),
);

// `?device=cpu&size=256&weights=…` set the page up, for tests and for links.
const asked = new URLSearchParams(location.search);
const size = Number(asked.get("size"));
if (size >= 64 && size < 256 && size % 64 === 0) sizeChooser.prepend(new Option(String(size)));
for (const [name, select] of [["device", deviceChooser], ["size", sizeChooser]] as const) {
  const value = asked.get(name);
  if ([...select.options].some((option) => option.value === value)) select.value = value ?? select.value;
}
void openPhoto(fetchPhoto(`./photos/${SAMPLES[0].file}`, SAMPLES[0].title));
checkpoints = await findCheckpoints();
listCheckpoints();
await load();
