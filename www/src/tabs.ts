import { element } from "./dom.js";

/** A row of tabs, of which one shows its panel: by click, and by the arrow keys. */
export class Tabs {
  readonly #tabs: readonly HTMLButtonElement[];

  constructor(...ids: readonly string[]) {
    this.#tabs = ids.map((id) => element(id, HTMLButtonElement));
    this.#tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => this.show(tab.id));
      tab.addEventListener("keydown", ({ key }) => {
        const to = { ArrowRight: (i + 1) % this.#tabs.length, ArrowLeft: i - 1, Home: 0, End: -1 }[key];
        const next = to === undefined ? undefined : this.#tabs.at(to);
        if (next === undefined) return;
        this.show(next.id);
        next.focus();
      });
    });
  }

  show(id: string): void {
    for (const tab of this.#tabs) {
      const selected = tab.id === id;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      element(tab.getAttribute("aria-controls") ?? "", HTMLElement).hidden = !selected;
    }
  }
}
