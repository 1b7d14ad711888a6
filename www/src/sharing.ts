import { onClick, element } from "./dom.js";
import { toPng, type Scene } from "./exports.js";
import { writeLink, type Link } from "./link.js";
import type { Panel } from "./panel.js";
import { copyText } from "./saving.js";

/** What a link can be made of. */
export interface Shared {
  /** A photo of the user's own has none, and no link can show it. */
  readonly link: Link;
  /** The checkpoint is a file of the user's, which the link leaves out. */
  readonly isOwnCheckpoint: boolean;
}

/** The buttons that give away what is on the stage: a link to it, and the cut-out by the system's own sheet. */
export function watchSharing(panel: Panel, shared: () => Shared, scene: () => Scene | undefined): void {
  onClick("copy-link", () => {
    const { link, isOwnCheckpoint } = shared();
    if (link.photo === undefined) return panel.notify("A photo of your own stays on this machine: no link can show it.");
    const words = isOwnCheckpoint ? "The link is in the clipboard, without the checkpoint, which is a file of yours." : "The link is in the clipboard.";
    void copyText(panel, writeLink(link, location.href), words);
  });

  const button = element("share-cutout", HTMLButtonElement);
  const fileOf = (parts: BlobPart[], name: string) => new File(parts, `${name}.png`, { type: "image/png" });
  button.hidden = !navigator.canShare?.({ files: [fileOf([], "cutout")] });
  button.addEventListener("click", () => {
    const now = scene();
    if (now === undefined || now.layers.length === 0) return;
    void share(now).catch((error: unknown) => {
      // The sheet was closed again.
      if (!(error instanceof DOMException && error.name === "AbortError")) panel.showError(error);
    });
  });
  const share = async (now: Scene) => navigator.share({ files: [fileOf([await toPng("cutout", now)], now.name.replace(/\.\w+$/, ""))] });
}
