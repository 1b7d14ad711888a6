/** What was dropped or pasted: a file, or the address of a picture of another page. */
export interface Dropped {
  readonly file?: File;
  readonly address?: string;
}

/** Calls back with what is dropped on the page or pasted into it. Text still goes into fields. */
export function watchDropping(root: HTMLElement, take: (dropped: Dropped) => void): void {
  const dropping = (on: boolean) => root.classList.toggle("is-dropping", on);
  addEventListener("dragover", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    dropping(true);
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) dropping(false);
  });
  addEventListener("drop", (event) => {
    dropping(false);
    if (!isOurs(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    const address = event.dataTransfer === null ? undefined : addressIn(event.dataTransfer);
    if (file !== undefined) take({ file });
    else if (address !== undefined) take({ address });
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file === undefined) return;
    event.preventDefault();
    take({ file });
  });
}

/** Files, and pictures of other pages; what is dropped on a field is the field's. */
function isOurs({ dataTransfer, target }: DragEvent): boolean {
  const types = dataTransfer?.types ?? [];
  if (types.includes("Files")) return true;
  return types.includes("text/uri-list") && !(target instanceof Element && target.closest("input, textarea, select") !== null);
}

/** A picture's own address, or else that of the link around it. */
function addressIn(data: DataTransfer): string | undefined {
  const html = new DOMParser().parseFromString(data.getData("text/html"), "text/html");
  const listed = data.getData("text/uri-list").split(/\r?\n/).find((line) => line !== "" && !line.startsWith("#"));
  return html.querySelector("img")?.getAttribute("src") || listed;
}
