import type { Box, Label, Point } from "tinysam";
import { tenths } from "./view.js";
import type { Viewer } from "./viewer.js";

/** What pointers on the canvas mean. */
export interface Gestures {
  point(at: Point, label: Label): void;
  /** A box of its own, or one more beside those before. */
  box(box: Box, more: boolean): void;
  /** The pointer rests on the photo here, or has left it. Fingers do not hover. */
  hover(at: Point | undefined): void;
}

/** Further than this a press is a drag, in CSS pixels. */
const DRAG = 5;
/** A finger that rests this long excludes, as a right click does. */
const LONG_PRESS_MS = 500;

interface Press {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly label: Label;
  readonly pans: boolean;
  /** It began on the photo: a box may begin beside it, a point may not. */
  readonly inside: boolean;
  dragging: boolean;
}

/** Turns mouse, pen and touch into points, boxes, zooming and panning. */
export function watchPointer(viewer: Viewer, gestures: Gestures): void {
  const { canvas, view } = viewer;
  const fingers = new Map<number, { x: number; y: number }>();
  let press: Press | undefined;
  let longPress = 0;

  const cancel = () => {
    clearTimeout(longPress);
    press = undefined;
    viewer.setDraft(undefined);
  };

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    if (event.pointerType === "touch") fingers.set(event.pointerId, { x, y });
    if (fingers.size > 1) return cancel();
    const pans = event.button === 1;
    const label: Label = event.button === 2 || event.altKey ? 0 : 1;
    const started: Press = { id: event.pointerId, x, y, label, pans, inside: view.contains(x, y), dragging: false };
    press = started;
    if (event.pointerType !== "touch" || !started.inside) return;
    longPress = window.setTimeout(() => {
      if (press !== started || started.dragging) return;
      cancel();
      // The finger covers the place: it is told that it was understood.
      navigator.vibrate?.(15);
      gestures.point(view.toPhoto(x, y), 0);
    }, LONG_PRESS_MS);
  });

  canvas.addEventListener("pointermove", (event) => {
    const { offsetX: x, offsetY: y } = event;
    if (fingers.size === 2 && fingers.has(event.pointerId)) return pinch(event.pointerId, x, y);
    if (press === undefined && event.pointerType !== "touch") gestures.hover(view.contains(x, y) ? view.toPhoto(x, y) : undefined);
    if (press?.id !== event.pointerId) return;
    if (press.pans) {
      view.pan(event.movementX, event.movementY);
      return viewer.redraw();
    }
    press.dragging ||= Math.hypot(x - press.x, y - press.y) > DRAG;
    if (press.dragging) viewer.setDraft(between(view.toPhoto(press.x, press.y), view.toPhoto(x, y)));
  });

  canvas.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    if (press?.id !== event.pointerId) return;
    const { x, y, label, dragging, pans, inside } = press;
    cancel();
    if (pans) return;
    if (!dragging) return inside ? gestures.point(view.toPhoto(x, y), label) : undefined;
    const box = between(view.toPhoto(x, y), view.toPhoto(event.offsetX, event.offsetY));
    if (box[2] >= 1 && box[3] >= 1) gestures.box(box, event.shiftKey);
  });

  canvas.addEventListener("pointerleave", () => gestures.hover(undefined));

  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    cancel();
  });

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      // A pinch on a touchpad comes as a wheel with Control, in smaller steps.
      view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.offsetX, event.offsetY);
      viewer.redraw();
    },
    { passive: false },
  );

  function pinch(id: number, x: number, y: number): void {
    const moved = fingers.get(id);
    const other = [...fingers].find(([key]) => key !== id)?.[1];
    if (moved === undefined || other === undefined) return;
    const before = Math.hypot(moved.x - other.x, moved.y - other.y);
    const after = Math.hypot(x - other.x, y - other.y);
    // First the zoom: a photo that is shown whole cannot be panned.
    if (before > 0) view.zoom(after / before, (moved.x + other.x) / 2, (moved.y + other.y) / 2);
    view.pan((x - moved.x) / 2, (y - moved.y) / 2);
    fingers.set(id, { x, y });
    viewer.redraw();
  }
}

/** The box with two opposite corners. */
export function between(a: Point, b: Point): Box {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), tenths(Math.abs(a[0] - b[0])), tenths(Math.abs(a[1] - b[1]))];
}
