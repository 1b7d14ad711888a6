import { onClick, save } from "./dom.js";
import { toCoco, toPng, toSvg, type Scene } from "./exports.js";
import type { Panel } from "./panel.js";

/** Where the page is not served by HTTPS, and in Firefox before 127 for pictures. */
const NO_CLIPBOARD = "this browser gives the page no clipboard: save the picture, or select the text and copy it";

/** The buttons that save and copy masks: the picked one, or all of them. */
export function watchSaving(panel: Panel, scene: () => Scene | undefined, code: () => string): void {
  const attempt = async (act: (scene: Scene) => Promise<void>) => {
    const now = scene();
    if (now === undefined || now.layers.length === 0) return;
    try {
      await act(now);
    } catch (error) {
      panel.showError(error);
    }
  };
  const onSave = (id: string, ending: string, make: (scene: Scene) => Promise<Blob>) =>
    onClick(id, () => void attempt(async (now) => save(await make(now), `${now.name.replace(/\.\w+$/, "")}${ending}`)));

  for (const kind of ["cutout", "mask", "overlay"] as const) onSave(`save-${kind}`, `-${kind}.png`, (now) => toPng(kind, now));
  onSave("save-coco", "-coco.json", toCoco);
  onSave("save-svg", ".svg", toSvg);
  onClick("copy-cutout", () => void attempt(async (now) => {
    if (navigator.clipboard === undefined || typeof ClipboardItem === "undefined") throw new Error(NO_CLIPBOARD);
    // The promise goes in, and not the picture: Safari asks for the clipboard within the click.
    await navigator.clipboard.write([new ClipboardItem({ "image/png": toPng("cutout", now) })]);
    panel.notify("The cut-out is in the clipboard.");
  }));
  onClick("copy-code", () => void copyText(panel, code(), "The code is in the clipboard."));
}

/** Text into the clipboard, and word of it. */
export async function copyText(panel: Panel, text: string, words: string): Promise<void> {
  try {
    if (navigator.clipboard === undefined) throw new Error(NO_CLIPBOARD);
    await navigator.clipboard.writeText(text);
    panel.notify(words);
  } catch (error) {
    panel.showError(error);
  }
}
