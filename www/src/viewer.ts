import type { Box, Point } from "tinysam";
import type { Layer, Layers } from "./layers.js";
import type { Marks } from "./prompts.js";
import { View } from "./view.js";

const FILL = "rgb(59 130 246 / 0.45)";

/** Draws the photo, the masks and the marks, once per frame and only when something changed. */
export class Viewer {
  readonly view = new View();
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #photo: ImageBitmap | undefined;
  #layers: Layers | undefined;
  #marks: Marks = { points: [], boxes: [] };
  #preview: Path2D | undefined;
  #draft: Box | undefined;
  #crosshair: Point | undefined;
  #frame = 0;
  /** Of the canvas's pixels to the page's: the screen's, as of the last {@link #resize}. */
  #ratio = 1;

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("this browser has no 2D canvas");
    this.canvas = canvas;
    this.#context = context;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#watchRatio();
  }

  /** A window that moves to another screen keeps its size, of which alone the observer tells. */
  #watchRatio(): void {
    const changed = () => {
      this.#resize();
      this.#watchRatio();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", changed, { once: true });
  }

  setPhoto(photo: ImageBitmap): void {
    this.#photo?.close();
    this.#photo = photo;
    this.view.setPhoto(photo.width, photo.height);
    this.#crosshair = undefined;
    this.redraw();
  }

  /** The masks to draw; they are read at each frame. */
  setLayers(layers: Layers): void {
    this.#layers = layers;
    this.redraw();
  }

  /** What a click would make. */
  setPreview(outlines: Path2D | undefined): void {
    this.#preview = outlines;
    this.redraw();
  }

  setMarks(marks: Marks): void {
    this.#marks = marks;
    this.redraw();
  }

  /** The box being dragged. */
  setDraft(box: Box | undefined): void {
    this.#draft = box;
    this.redraw();
  }

  /** The keyboard's pointer, in the photo's pixels. */
  setCrosshair(at: Point | undefined): void {
    this.#crosshair = at;
    this.redraw();
  }

  redraw(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.canvas;
    this.#ratio = devicePixelRatio;
    this.canvas.width = Math.max(1, Math.round(clientWidth * this.#ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * this.#ratio));
    this.view.setCanvas(clientWidth, clientHeight);
    // At once: setting the size has wiped the canvas, and waiting for a frame would show it empty.
    this.#draw();
  }

  #draw(): void {
    const context = this.#context;
    const ratio = this.#ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.#photo === undefined) return;
    const { scale, x, y } = this.view;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
    context.imageSmoothingEnabled = scale * ratio < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#photo, 0, 0);
    if (this.#preview !== undefined) this.#drawPreview(this.#preview);
    if (this.#layers !== undefined) this.#drawLayers(this.#layers);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#drawMarks();
  }

  #drawLayers({ all, picked, lit }: Layers): void {
    const [only, another] = all;
    if (only !== undefined && another === undefined) return this.#drawMask(only.outlines, FILL, "#1d4ed8");
    // Large ones first: what is small would not be seen below them.
    const others = all.filter((layer) => layer !== picked && layer !== lit).sort((a, b) => b.mask.area - a.mask.area);
    for (const { outlines, hue } of others) {
      this.#context.fillStyle = `hsl(${hue} 85% 55% / ${picked === undefined ? 0.45 : 0.15})`;
      this.#context.fill(outlines, "evenodd");
      if (picked !== undefined) continue;
      this.#context.strokeStyle = `hsl(${hue} 85% 30%)`;
      this.#context.lineWidth = 1.25 / this.view.scale;
      this.#context.stroke(outlines);
    }
    for (const { outlines, hue } of [picked, lit].filter((layer): layer is Layer => layer !== undefined)) {
      this.#drawMask(outlines, `hsl(${hue} 85% 55% / 0.55)`, `hsl(${hue} 85% 35%)`);
    }
  }

  #drawMask(outlines: Path2D, fill: string, line: string): void {
    const context = this.#context;
    context.fillStyle = fill;
    context.fill(outlines, "evenodd");
    const hairline = 1 / this.view.scale;
    context.lineJoin = "round";
    context.strokeStyle = "#fff";
    context.lineWidth = 3.5 * hairline;
    context.stroke(outlines);
    context.strokeStyle = line;
    context.lineWidth = 1.75 * hairline;
    context.stroke(outlines);
  }

  #drawPreview(outlines: Path2D): void {
    const context = this.#context;
    context.fillStyle = "rgb(255 255 255 / 0.3)";
    context.fill(outlines, "evenodd");
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5 / this.view.scale;
    context.stroke(outlines);
  }

  #drawMarks(): void {
    for (const box of this.#marks.boxes) this.#drawBox(box);
    if (this.#draft !== undefined) this.#drawBox(this.#draft);
    for (const { at, label } of this.#marks.points) this.#drawPoint(at, label === 1 ? "#15a34a" : "#dc2626", label === 1);
    if (this.#crosshair !== undefined) this.#drawCrosshair(this.#crosshair);
  }

  #drawBox([x, y, width, height]: Box): void {
    const context = this.#context;
    const [left, top] = this.view.toCanvas([x, y]);
    const [right, bottom] = this.view.toCanvas([x + width, y + height]);
    context.lineWidth = 4;
    context.strokeStyle = "#fff";
    context.strokeRect(left, top, right - left, bottom - top);
    context.lineWidth = 2;
    context.strokeStyle = "#15a34a";
    context.strokeRect(left, top, right - left, bottom - top);
  }

  /** Plus and minus, not colour alone, tell the two kinds apart. */
  #drawPoint(at: Point, colour: string, plus: boolean): void {
    const context = this.#context;
    const [x, y] = this.view.toCanvas(at);
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (plus) {
      context.moveTo(x, y - 3.5);
      context.lineTo(x, y + 3.5);
    }
    context.stroke();
  }

  #drawCrosshair(at: Point): void {
    const context = this.#context;
    const [x, y] = this.view.toCanvas(at);
    for (const [width, colour] of [[4, "#000"], [2, "#fff"]] as const) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      context.moveTo(x - 14, y);
      context.lineTo(x + 14, y);
      context.moveTo(x, y - 14);
      context.lineTo(x, y + 14);
      context.stroke();
    }
  }
}
