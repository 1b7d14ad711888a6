/** The element with this id, which index.html has. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return found;
}

/** Does something when this button is clicked. */
export function onClick(id: string, act: () => void): void {
  element(id, HTMLButtonElement).addEventListener("click", act);
}

/** Fills a description list with names and values. */
export function fillFacts(list: HTMLElement, facts: readonly (readonly [name: string, value: string])[]): void {
  list.replaceChildren(
    ...facts.map(([name, value]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = value;
      row.append(term, detail);
      return row;
    }),
  );
}

/** Hands a file to the user. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : seconds(ms);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function masksInWords(count: number): string {
  return count === 1 ? "1 mask" : `${count} masks`;
}
