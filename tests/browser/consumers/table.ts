import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What was found out about one consumer. */
export interface Row {
  readonly consumer: string;
  readonly version: string;
  /** `ok`, or what went wrong; `–` where there is no such thing. */
  readonly build: string;
  readonly dev: string;
  /** The modules that the build emitted: their number, and their bytes. */
  readonly modules: string;
  /** What the consumer's configuration has for the package's sake. */
  readonly needs: string;
}

export function writeRow(folder: string, name: string, row: Row): void {
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(row));
}

export function printTable(folder: string): void {
  const read = (file: string) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Row;
  const rows = readdirSync(folder).sort().map(read);
  const cells = rows.map(({ consumer, version, build, dev, modules, needs }) => [consumer, version, build, dev, modules, needs]);
  const lines = [["consumer", "version", "build", "dev", "modules", "needs"], ["---", "---", "---", "---", "---", "---"], ...cells];
  console.log(lines.map((line) => `| ${line.map((cell) => cell.replace(/\s+/g, " ")).join(" | ")} |`).join("\n"));
}
