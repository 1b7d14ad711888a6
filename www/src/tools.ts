import { element } from "./dom.js";

const TOOLS = ["add", "exclude", "boxes"] as const;
export type Tool = (typeof TOOLS)[number];

/** What a plain click or drag does: what mice and keys say with a button or a key, fingers choose here. */
export class Tools {
  #chosen: Tool = "add";

  constructor() {
    for (const tool of TOOLS) button(tool).addEventListener("click", () => this.choose(tool));
  }

  get chosen(): Tool {
    return this.#chosen;
  }

  choose(chosen: Tool): void {
    this.#chosen = chosen;
    for (const tool of TOOLS) button(tool).setAttribute("aria-pressed", String(tool === chosen));
  }
}

function button(tool: Tool): HTMLButtonElement {
  return element(`tool-${tool}`, HTMLButtonElement);
}
