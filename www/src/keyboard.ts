import type { Point } from "tinysam";
import { between, type Gestures } from "./pointer.js";
import type { Viewer } from "./viewer.js";

/** What keys do beyond points and boxes. */
export interface Commands extends Gestures {
  undo(): void;
  redo(): void;
  clear(): void;
  everything(): void;
  refine(): void;
  say(words: string): void;
}

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Everything that a pointer can do, from the keyboard, with a crosshair in its place. */
export function watchKeyboard(viewer: Viewer, commands: Commands): () => void {
  const { canvas, view } = viewer;
  let at: Point | undefined;
  let corner: Point | undefined;

  const centre = () => view.toPhoto(canvas.clientWidth / 2, canvas.clientHeight / 2);
  const move = ([dx, dy]: Point, fast: boolean) => {
    const [x, y] = view.toCanvas(at ?? centre());
    const step = fast ? 40 : 8;
    at = view.toPhoto(x + dx * step, y + dy * step);
    view.reveal(at);
    viewer.setCrosshair(at);
    commands.hover(at);
    if (corner !== undefined) viewer.setDraft(between(corner, at));
  };
  const toggleBox = (more: boolean) => {
    at ??= centre();
    viewer.setCrosshair(at);
    if (corner === undefined) {
      corner = at;
      return commands.say("Box started: move to the opposite corner and press B.");
    }
    const box = between(corner, at);
    corner = undefined;
    viewer.setDraft(undefined);
    if (box[2] >= 1 && box[3] >= 1) commands.box(box, more);
  };
  const dropBox = () => {
    corner = undefined;
    viewer.setDraft(undefined);
  };
  const zoom = (factor: number) => {
    const [x, y] = view.toCanvas(at ?? centre());
    view.zoom(factor, x, y);
    if (at !== undefined) view.reveal(at);
    viewer.redraw();
  };

  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    const key = letterOf(event);
    if ((event.ctrlKey || event.metaKey) && key === "z") event.shiftKey ? commands.redo() : commands.undo();
    else if ((event.ctrlKey || event.metaKey) && key === "y") commands.redo();
    else if (event.ctrlKey || event.metaKey) return;
    else if (arrow !== undefined) move(arrow, event.shiftKey);
    else if (key === "enter") commands.point((at ??= centre()), event.altKey ? 0 : 1);
    else if (key === "b") toggleBox(event.shiftKey);
    else if (key === "e") commands.everything();
    else if (key === "r") commands.refine();
    else if (key === "escape") corner === undefined ? commands.clear() : dropBox();
    else if (key === "+" || key === "=") zoom(1.25);
    else if (key === "-") zoom(0.8);
    else if (key === "0") {
      view.fit();
      viewer.redraw();
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => viewer.setCrosshair(undefined));
  canvas.addEventListener("focus", () => viewer.setCrosshair(at));

  // Another photo: the crosshair starts from its middle.
  return () => {
    at = undefined;
    dropBox();
  };
}

/** In an alphabet without Latin letters, the one that is at its place. */
function letterOf({ key, code }: KeyboardEvent): string {
  const isForeign = key.length === 1 && key > "\x7f" && code.startsWith("Key");
  return (isForeign ? code.slice("Key".length) : key).toLowerCase();
}
