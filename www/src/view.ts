import type { Point } from "tinysam";

/** What is kept between a crosshair and the canvas's edge, in CSS pixels. */
const ROOM = 32;

/** Where the photo lies on the canvas, in CSS pixels: zooming and panning are changes of this alone. */
export class View {
  scale = 1;
  x = 0;
  y = 0;
  #photo = { width: 1, height: 1 };
  #canvas = { width: 1, height: 1 };
  #fitted = true;

  /** Another photo: shown whole. */
  setPhoto(width: number, height: number): void {
    this.#photo = { width, height };
    this.fit();
  }

  /** The canvas's size changed: a photo shown whole stays so, another keeps its centre. */
  setCanvas(width: number, height: number): void {
    const moved = { x: (width - this.#canvas.width) / 2, y: (height - this.#canvas.height) / 2 };
    this.#canvas = { width, height };
    if (this.#fitted) this.fit();
    else this.pan(moved.x, moved.y);
  }

  fit(): void {
    const { width, height } = this.#photo;
    this.scale = Math.min(this.#canvas.width / width, this.#canvas.height / height);
    this.x = (this.#canvas.width - width * this.scale) / 2;
    this.y = (this.#canvas.height - height * this.scale) / 2;
    this.#fitted = true;
  }

  /** Zooms about a point of the canvas, which stays where it is. */
  zoom(factor: number, aboutX = this.#canvas.width / 2, aboutY = this.#canvas.height / 2): void {
    const whole = Math.min(this.#canvas.width / this.#photo.width, this.#canvas.height / this.#photo.height);
    const scale = Math.min(Math.max(this.scale * factor, whole), Math.max(32, whole));
    if (scale === whole) return this.fit();
    this.x = aboutX - ((aboutX - this.x) * scale) / this.scale;
    this.y = aboutY - ((aboutY - this.y) * scale) / this.scale;
    this.scale = scale;
    this.#fitted = false;
    this.#keepInSight();
  }

  /** Nothing of the photo is out of sight: there is nothing to pan. */
  get isWhole(): boolean {
    return this.#fitted;
  }

  /** Moves the photo so far that this point of it is in sight, with some room around it. */
  reveal(at: Point): void {
    const [x, y] = this.toCanvas(at);
    const { width, height } = this.#canvas;
    const room = Math.min(ROOM, width / 4, height / 4);
    this.pan(clamp(x, room, width - room) - x, clamp(y, room, height - room) - y);
  }

  pan(dx: number, dy: number): void {
    if (this.#fitted) return;
    this.x += dx;
    this.y += dy;
    this.#keepInSight();
  }

  /**
   * From the canvas to the photo's pixels, kept inside the photo. True to a tenth of a pixel, so that code can say it
   * in few digits and mean the same mask.
   */
  toPhoto(x: number, y: number): Point {
    const { width, height } = this.#photo;
    return [clamp(tenths((x - this.x) / this.scale), 0, width), clamp(tenths((y - this.y) / this.scale), 0, height)];
  }

  toCanvas([x, y]: Point): Point {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  /** Is this point of the canvas on the photo? */
  contains(x: number, y: number): boolean {
    const { width, height } = this.#photo;
    return x >= this.x && y >= this.y && x <= this.x + width * this.scale && y <= this.y + height * this.scale;
  }

  #keepInSight(): void {
    this.x = keep(this.x, this.#photo.width * this.scale, this.#canvas.width);
    this.y = keep(this.y, this.#photo.height * this.scale, this.#canvas.height);
  }
}

/** The photo covers the canvas where it is larger, and is centred where it is smaller. */
function keep(offset: number, length: number, room: number): number {
  return length <= room ? (room - length) / 2 : clamp(offset, room - length, 0);
}

export function tenths(pixels: number): number {
  return Math.round(10 * pixels) / 10;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
