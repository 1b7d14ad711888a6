import { TinySamError, type Point, type TinySam } from "tinysam";
import { watchCamera } from "./camera.js";
import { findCheckpoints, fromFile, isCheckpoint, type Checkpoint } from "./checkpoints.js";
import { element, save } from "./dom.js";
import { Engine } from "./engine.js";
import { toCoco, toPng, toSvg, type Scene } from "./exports.js";
import { FalTab } from "./fal.js";
import { watchKeyboard } from "./keyboard.js";
import { MaskList } from "./mask-list.js";
import { keepForOffline } from "./offline.js";
import { Panel, type Timings } from "./panel.js";
import { fetchFromUrl, fetchPhoto, readPhoto, SAMPLES, watchFiles, type Photo } from "./photos.js";
import { watchPointer } from "./pointer.js";
import { Preview } from "./preview.js";
import { toCode } from "./snippet.js";
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
    void keepForOffline(loaded.device.kind);
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
    preview.measured(ms);
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
const preview = new Preview(engine, viewer);
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
  try {
    photo = await opening;
  } catch (error) {
    return panel.showError(error);
  }
  panel.showError(undefined);
  preview.hide();
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
  // Where only the page's own host is reached, the checkpoint beside the page lets it be tried.
  const spare = checkpoints.findIndex(({ beside }) => beside);
  if (loaded || checkpoint.beside || spare < 0 || element("error", HTMLElement).dataset.code !== "checkpoint_unreachable") return;
  chooser.value = String(spare);
  await load();
}

const commands = {
  point: stage.point.bind(stage),
  box: stage.box.bind(stage),
  hover(at: Point | undefined) {
    stage.hover(at);
    if (at !== undefined && stage.isEmpty) void preview.show(at);
    else preview.hide();
  },
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
watchCamera((taken) => void openPhoto(taken));
element("url-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void openPhoto(fetchFromUrl(element("photo-url", HTMLInputElement).value));
});

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

/** Does something with the picked mask, or with all of them. */
async function withMasks(act: (scene: Scene) => Promise<void>): Promise<void> {
  const layers = stage.layers.chosen;
  if (photo === undefined || layers.length === 0) return;
  try {
    await act({ name: photo.name, pixels: photo.pixels, layers });
  } catch (error) {
    panel.showError(error);
  }
}

function onSave(id: string, ending: string, make: (scene: Scene) => Promise<Blob>): void {
  onClick(id, () => void withMasks(async (scene) => save(await make(scene), `${scene.name.replace(/\.\w+$/, "")}${ending}`)));
}
for (const kind of ["cutout", "mask", "overlay"] as const) onSave(`save-${kind}`, `-${kind}.png`, (scene) => toPng(kind, scene));
onSave("save-coco", "-coco.json", toCoco);
onSave("save-svg", ".svg", toSvg);
onClick("copy-cutout", () => void withMasks(async (scene) => {
  // The promise goes in, and not the picture: Safari asks for the clipboard within the click.
  await navigator.clipboard.write([new ClipboardItem({ "image/png": toPng("cutout", scene) })]);
  panel.announce("The cut-out is in the clipboard.");
}));
onClick("copy-code", () => void withMasks(async () => {
  await navigator.clipboard.writeText(snippet());
  panel.announce("The code is in the clipboard.");
}));

function snippet(): string {
  const { layers, everything, marks, prompts, isRefining } = stage;
  return toCode({
    weights: checkpoints[Number(chooser.value)]?.weights ?? {},
    device: deviceChooser.value,
    size: Number(sizeChooser.value),
    everything: everything.holdsStage ? everything.used : undefined,
    prompt: marks.prompt(),
    picked: layers.picked === undefined ? -1 : layers.all.indexOf(layers.picked),
    refinement: isRefining ? prompts.prompt() : undefined,
  });
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
