import type { Mask, TinySam } from "tinysam";
import { findCheckpoints, fromFile, isCheckpoint, type Checkpoint } from "./checkpoints.js";
import { element, save } from "./dom.js";
import { Engine } from "./engine.js";
import { FalTab } from "./fal.js";
import { watchKeyboard } from "./keyboard.js";
import { outlinesOf } from "./outlines.js";
import { Panel, type Timings } from "./panel.js";
import { fetchPhoto, readPhoto, SAMPLES, watchFiles, type Photo } from "./photos.js";
import { watchPointer } from "./pointer.js";
import { Prompts } from "./prompts.js";
import { Viewer } from "./viewer.js";

const panel = new Panel();
const viewer = new Viewer(element("canvas", HTMLCanvasElement));
const prompts = new Prompts(showMarks);
const chooser = element("checkpoint", HTMLSelectElement);
const deviceChooser = element("device", HTMLSelectElement);
const sizeChooser = element("size", HTMLSelectElement);

let checkpoints: Checkpoint[] = [];
let photo: Photo | undefined;
let sam: TinySam | undefined;
let mask: Mask | undefined;
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
  encoding: () => panel.showBusy("Encoding the photo…"),
  encoded(_image, ms) {
    panel.showBusy(undefined);
    timings = { ...timings, encode: ms };
    showMachine();
    panel.announce("The photo is encoded. Click on it.");
  },
  decoding: () => panel.showError(undefined),
  decoded(found, ms) {
    timings = { ...timings, decode: ms };
    showMachine();
    void showMask(found);
  },
  failed(error) {
    panel.showBusy(undefined);
    panel.hideProgress();
    panel.showError(error);
  },
});

function showMachine(): void {
  panel.showDevice(sam?.device);
  panel.showMachine(sam?.device, sam?.checkpointSha256 ?? "", timings);
}

async function showMask(found: Mask | undefined): Promise<void> {
  mask?.free();
  mask = found;
  panel.showMask(found);
  if (found === undefined) return viewer.setMask(undefined);
  try {
    const outlines = await outlinesOf(found);
    if (mask === found) viewer.setMask(outlines);
  } catch (error) {
    // A mask that was replaced while it was being read is nobody's concern.
    if (mask === found) panel.showError(error);
  }
}

const falTab = new FalTab({
  photo: () => photo?.blob,
  prompt: () => (prompts.isEmpty ? {} : prompts.prompt()),
  size: () => Number(sizeChooser.value),
  settings: () => ({
    ...checkpoints[Number(chooser.value)]?.weights,
    device: deviceChooser.value as "auto" | "webgpu" | "cpu",
  }),
});

function showMarks(): void {
  falTab.showCode();
  viewer.setMarks(prompts.marks);
  element("undo", HTMLButtonElement).disabled = !prompts.canUndo;
  element("redo", HTMLButtonElement).disabled = !prompts.canRedo;
  element("clear", HTMLButtonElement).disabled = prompts.isEmpty;
  engine.segment(prompts.isEmpty ? undefined : prompts.prompt());
  if (prompts.isEmpty) void showMask(undefined);
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
  prompts.reset();
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
  falTab.showCode();
  showMachine();
  panel.showError(undefined);
  panel.showBusy(undefined);
  element("checkpoint-note", HTMLElement).textContent = checkpoint.note;
  const device = deviceChooser.value as "auto" | "webgpu" | "cpu";
  const loaded = await engine.load({ ...checkpoint.weights, device, size: Number(sizeChooser.value) });
  // Where only the page's own host is reached, the checkpoint beside the page lets it be tried.
  const spare = checkpoints.findIndex(({ beside }) => beside);
  if (loaded || checkpoint.beside || spare < 0 || element("error", HTMLElement).dataset.code !== "checkpoint_unreachable") return;
  chooser.value = String(spare);
  await load();
}

const commands = {
  point: prompts.addPoint.bind(prompts),
  box: prompts.setBox.bind(prompts),
  undo: () => prompts.undo(),
  redo: () => prompts.redo(),
  clear: () => prompts.clear(),
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
onClick("zoom-in", () => (viewer.view.zoom(1.4), viewer.redraw()));
onClick("zoom-out", () => (viewer.view.zoom(1 / 1.4), viewer.redraw()));
onClick("zoom-fit", () => (viewer.view.fit(), viewer.redraw()));
onClick("save-cutout", () => void saveMask("cutout"));
onClick("save-mask", () => void saveMask("mask"));

async function saveMask(kind: "cutout" | "mask"): Promise<void> {
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
for (const [name, select] of [["device", deviceChooser], ["size", sizeChooser]] as const) {
  const value = asked.get(name);
  if ([...select.options].some((option) => option.value === value)) select.value = value ?? select.value;
}
void openPhoto(fetchPhoto(`./photos/${SAMPLES[0].file}`, SAMPLES[0].title));
checkpoints = await findCheckpoints();
listCheckpoints();
await load();
