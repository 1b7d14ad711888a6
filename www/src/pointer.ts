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

/** A turn of the wheel goes on as it began, until it rests so long, in milliseconds. */
const WHEEL_REST_MS = 300;
/** Further than this a press is a drag, in CSS pixels. */
const DRAG = 5;
/** A finger that rests this long excludes, as a right click does. */
const LONG_PRESS_MS = 500;

/** On the canvas, in CSS pixels. */
interface Place {
  readonly x: number;
  readonly y: number;
}

interface Press {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly label: Label;
  readonly pans: boolean;
  /** It began on the photo: a box may begin beside it, a point may not. */
  readonly inside: boolean;
  dragging: boolean;
  /** Where the photo was last moved to. */
  at: Place;
}

/** Turns mouse, pen and touch into points, boxes, zooming and panning. */
export function watchPointer(viewer: Viewer, gestures: Gestures): void {
  const { canvas, view } = viewer;
  const isHeld = watchSpace(canvas);
  const fingers = new Map<number, Place>();
  /** Where they were when the photo last followed two of them, and the frame in which it will again. */
  let followed: readonly Place[] = [];
  let following = 0;
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
    followed = [...fingers.values()];
    if (fingers.size > 1) return cancel();
    const pans = event.button === 1 || isHeld();
    // With Control it is a Mac's right click.
    const label: Label = event.button === 2 || event.altKey || event.ctrlKey ? 0 : 1;
    const started: Press = { id: event.pointerId, x, y, label, pans, inside: view.contains(x, y), dragging: false, at: { x, y } };
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
    if (fingers.size === 2 && fingers.has(event.pointerId)) {
      fingers.set(event.pointerId, { x, y });
      following ||= requestAnimationFrame(pinch);
      return;
    }
    if (press === undefined && event.pointerType !== "touch") gestures.hover(view.contains(x, y) ? view.toPhoto(x, y) : undefined);
    if (press?.id !== event.pointerId) return;
    if (press.pans) {
      view.pan(x - press.at.x, y - press.at.y);
      press.at = { x, y };
      return viewer.redraw();
    }
    press.dragging ||= Math.hypot(x - press.x, y - press.y) > DRAG;
    if (press.dragging) viewer.setDraft(between(view.toPhoto(press.x, press.y), view.toPhoto(x, y)));
  });

  canvas.addEventListener("pointerup", (event) => {
    lift(event.pointerId);
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
    lift(event.pointerId);
    cancel();
  });

  let wheel = { zooms: false, at: -Infinity };
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { deltaX, deltaY, deltaMode, ctrlKey, metaKey, shiftKey, offsetX, offsetY, timeStamp } = event;
      // A photo that is shown whole cannot be panned: a turn that begins there zooms, and does not end in panning.
      const goesOn = timeStamp - wheel.at < WHEEL_REST_MS && wheel.zooms;
      wheel = { zooms: ctrlKey || metaKey || goesOn || view.isWhole, at: timeStamp };
      // Firefox counts a mouse's wheel in lines.
      const unit = deltaMode === WheelEvent.DOM_DELTA_LINE ? 40 : 1;
      // But in Safari a pinch on a touchpad comes as a wheel with Control, in smaller steps than a mouse's.
      const pinches = ctrlKey && Math.abs(deltaY) < 50;
      if (wheel.zooms) view.zoom(Math.exp(-deltaY * unit * (pinches ? 0.01 : 0.0015)), offsetX, offsetY);
      else if (shiftKey && deltaX === 0) view.pan(-deltaY * unit, 0);
      else view.pan(-deltaX * unit, -deltaY * unit);
      viewer.redraw();
    },
    { passive: false },
  );

  // A pinch on a touchpad in Safari, which tells of it so alone.
  let scale = 1;
  const gesture = (event: Event) => {
    event.preventDefault();
    const { scale: now, clientX, clientY } = event as Event & { readonly scale: number; readonly clientX: number; readonly clientY: number };
    const { left, top } = canvas.getBoundingClientRect();
    // Fingers on a screen are followed by themselves.
    if (fingers.size === 0 && event.type === "gesturechange") view.zoom(now / scale, clientX - left, clientY - top);
    scale = event.type === "gesturechange" ? now : 1;
    viewer.redraw();
  };
  for (const type of ["gesturestart", "gesturechange"]) canvas.addEventListener(type, gesture);

  function lift(finger: number): void {
    if (following !== 0) pinch();
    fingers.delete(finger);
    followed = [...fingers.values()];
  }

  /** Once a frame: each finger tells of its own way, and between the two the distance is nobody's. */
  function pinch(): void {
    cancelAnimationFrame(following);
    following = 0;
    const [a, b] = followed;
    const [c, d] = fingers.values();
    followed = [...fingers.values()];
    if (a === undefined || b === undefined || c === undefined || d === undefined) return;
    const before = Math.hypot(a.x - b.x, a.y - b.y);
    const after = Math.hypot(c.x - d.x, c.y - d.y);
    // First the zoom: a photo that is shown whole cannot be panned.
    if (before > 0) view.zoom(after / before, (a.x + b.x) / 2, (a.y + b.y) / 2);
    view.pan((c.x + d.x - a.x - b.x) / 2, (c.y + d.y - a.y - b.y) / 2);
    viewer.redraw();
  }
}

/** Whether Space is held: then a drag moves the photo. Elsewhere the key is the page's: it scrolls, and presses buttons. */
function watchSpace(canvas: HTMLCanvasElement): () => boolean {
  let held = false;
  const hold = (on: boolean) => canvas.classList.toggle("is-held", (held = on));
  addEventListener("keydown", (event) => {
    if (event.key !== " " || (event.target !== canvas && event.target !== document.body)) return;
    event.preventDefault();
    hold(true);
  });
  addEventListener("keyup", (event) => event.key === " " && hold(false));
  // The key comes up in another window.
  addEventListener("blur", () => hold(false));
  return () => held;
}

/** The box with two opposite corners. */
export function between(a: Point, b: Point): Box {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), tenths(Math.abs(a[0] - b[0])), tenths(Math.abs(a[1] - b[1]))];
}
