import { element } from "./dom.js";
import type { Layer } from "./layers.js";
import type { Stage } from "./stage.js";

/** The side of a thumbnail in CSS pixels, and how much of the mask's surroundings it shows. */
const SIDE = 48;
const MARGIN = 1.25;

/** The masks as a list beside the photo: what is lit or picked in one is so in the other. */
export class MaskList {
  readonly #list = element("mask-list", HTMLElement);
  readonly #items = new Map<Layer, HTMLLIElement>();
  readonly #stage: Stage;
  readonly #photo: () => ImageBitmap | undefined;
  #picked: Layer | undefined;

  constructor(stage: Stage, photo: () => ImageBitmap | undefined) {
    this.#stage = stage;
    this.#photo = photo;
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Shows the masks as they are now; a single one needs no list. */
  update(): void {
    const { all, picked, lit } = this.#stage.layers;
    const several = all.length > 1;
    const wanted = new Set(several ? all : []);
    this.#list.hidden = !several;
    for (const [layer, item] of this.#items) {
      if (wanted.has(layer)) continue;
      item.remove();
      this.#items.delete(layer);
    }
    if (!several) return;
    all.forEach((layer, i) => {
      const item = this.#items.get(layer) ?? this.#make(layer);
      if (this.#list.children[i] !== item) this.#list.insertBefore(item, this.#list.children[i] ?? null);
      item.classList.toggle("is-lit", layer === lit);
      const button = item.firstElementChild;
      button?.setAttribute("aria-pressed", String(layer === picked));
      // One stop for the Tab key, and not a hundred: arrows go on from there.
      if (button instanceof HTMLElement) button.tabIndex = layer === (picked ?? all[0]) ? 0 : -1;
    });
    // Only when it changes: else the list could not be scrolled while masks arrive.
    if (picked !== this.#picked && picked !== undefined) this.#bringIntoSight(this.#items.get(picked));
    this.#picked = picked;
  }

  #walk(event: KeyboardEvent): void {
    const buttons = [...this.#list.querySelectorAll("button")];
    const from = buttons.findIndex((button) => button === document.activeElement);
    const to = { ArrowRight: from + 1, ArrowDown: from + 1, ArrowLeft: from - 1, ArrowUp: from - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to]?.focus();
  }

  /** The list alone scrolls: if the page did, the photo would move away under the pointer. */
  #bringIntoSight(item: HTMLElement | undefined): void {
    if (item === undefined) return;
    const top = item.offsetTop;
    const bottom = top + item.offsetHeight - this.#list.clientHeight;
    this.#list.scrollTop = Math.min(Math.max(this.#list.scrollTop, bottom), top);
  }

  #make(layer: Layer): HTMLLIElement {
    const { mask, hue } = layer;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const share = (100 * mask.area) / (mask.width * mask.height);
    const words = document.createElement("span");
    button.setAttribute("aria-label", `Mask, score ${mask.score.toFixed(3)}, ${share.toFixed(1)} percent of the photo`);
    words.textContent = `${mask.score.toFixed(3)} · ${share < 0.1 ? "< 0.1" : share.toFixed(1)} %`;
    button.title = `Score ${mask.score.toFixed(3)}, ${mask.area.toLocaleString("en")} px`;
    button.append(thumbnail(this.#photo(), layer), words);
    button.style.setProperty("--hue", String(hue));
    button.addEventListener("click", () => this.#stage.pick(layer));
    const light = () => this.#stage.layers.light(layer);
    button.addEventListener("focus", light);
    // Fingers do not hover: what is drawn under one that taps would only hold up the tap.
    button.addEventListener("pointerenter", ({ pointerType }) => pointerType === "touch" || light());
    // The photo may have lit another one meanwhile: the focus goes after the pointer has moved.
    const unlight = () => this.#stage.layers.lit === layer && this.#stage.layers.light(undefined);
    for (const type of ["pointerleave", "blur"]) button.addEventListener(type, unlight);
    item.append(button);
    this.#items.set(layer, item);
    return item;
  }
}

/** The mask's part of the photo, its surroundings faint. */
function thumbnail(photo: ImageBitmap | undefined, { mask, outlines }: Layer): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE * Math.min(devicePixelRatio, 2);
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d");
  if (context === null || photo === undefined) return canvas;
  const [x, y, width, height] = mask.bbox;
  const side = Math.max(width, height, 1) * MARGIN;
  const scale = canvas.width / side;
  context.setTransform(scale, 0, 0, scale, -(x + width / 2 - side / 2) * scale, -(y + height / 2 - side / 2) * scale);
  context.globalAlpha = 0.3;
  context.drawImage(photo, 0, 0);
  context.globalAlpha = 1;
  context.clip(outlines, "evenodd");
  context.drawImage(photo, 0, 0);
  return canvas;
}
