/** One consumer: a folder of tests/consumers, copied, installed by its lock, built and served as its scripts have it. */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, cpSync, existsSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const CONSUMERS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "consumers");
const SHARED = join(CONSUMERS, "shared");

/** What a consumer's package.json says of it. */
export interface Facts {
  /** Its name in the table. */
  readonly name: string;
  /** The package whose version is the consumer's. */
  readonly of: string;
  /** The folder with what a browser is given, when it is built. */
  readonly out: string;
  /** The folder that the shared sources are copied to. Default `src`. */
  readonly src?: string;
  /** What its configuration has for the package's sake; nothing, mostly. */
  readonly needs?: string;
  /** What the error says where that is left out. */
  readonly says?: string;
  /** The oldest Node that it runs on, if that is newer than this one may be. */
  readonly node?: number;
}

interface Manifest {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly consumer: Facts;
}

/** The names of all consumers. */
export function consumers(): string[] {
  return readdirSync(CONSUMERS).filter((name) => existsSync(join(CONSUMERS, name, "package.json")) && name !== "node");
}

export class Project {
  readonly folder: string;
  readonly facts: Facts;
  readonly #scripts: Manifest["scripts"];
  readonly #log: string;

  /** Copies it to `root`, where the package lies as it does in the repository. */
  constructor(root: string, name: string) {
    this.folder = join(root, "tests/consumers", name);
    this.#log = join(root, `${name}.log`);
    rmSync(this.#log, { force: true });
    rmSync(this.folder, { recursive: true, force: true });
    cpSync(join(CONSUMERS, name), this.folder, { recursive: true, filter: (path) => !/[\\/]node_modules$/.test(path) });
    const { consumer, scripts } = manifest(this.folder);
    for (const file of readdirSync(SHARED)) {
      const to = join(this.folder, consumer.src ?? "src", file);
      if (!existsSync(to)) cpSync(join(SHARED, file), to);
    }
    this.facts = consumer;
    this.#scripts = scripts;
  }

  has(script: string): boolean {
    return script in this.#scripts;
  }

  get out(): string {
    return join(this.folder, this.facts.out);
  }

  /** The version of the tool that was installed. */
  get version(): string {
    return manifest(join(this.folder, "node_modules", this.facts.of)).version;
  }

  async npm(...args: string[]): Promise<void> {
    const child = this.#spawn(args);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}: ${this.#log} has its words`);
  }

  /** Runs a script that serves. What is returned has its address, and ends it. */
  async serve(script: string): Promise<{ address: string; close(): void }> {
    const port = await freePort();
    const more = script === "dev" ? ["--", "--port", String(port)] : [];
    const child = this.#spawn(["run", script, ...more], { PORT: String(port), HOST: "localhost" });
    const close = () => {
      // npm starts a shell, and that the server: all of them.
      if (child.pid !== undefined) process.kill(-child.pid);
    };
    const address = `http://localhost:${port}`;
    let ended = false;
    child.once("exit", () => (ended = true));
    for (let tries = 0; ; tries++) {
      if (await fetch(address).then(({ ok }) => ok, () => false)) return { address, close };
      if (ended || tries > 240) {
        if (!ended) close();
        throw new Error(`npm run ${script} serves nothing: ${this.#log} has its words`);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  #spawn(args: string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    const words = createWriteStream(this.#log, { flags: "a" });
    const PATH = [...nodeFor(this.facts.node), process.env.PATH].join(delimiter);
    // Nothing of this run's own is told to the tools, whom it might tell to behave otherwise.
    const { NODE_OPTIONS: _, NODE_ENV: __, FORCE_COLOR: ___, ...inherited } = process.env;
    const env = { ...inherited, PATH, CI: "1", NEXT_TELEMETRY_DISABLED: "1", ASTRO_TELEMETRY_DISABLED: "1", NG_CLI_ANALYTICS: "false", NUXT_TELEMETRY_DISABLED: "1", ...environment };
    const child = spawn("npm", args, { cwd: this.folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    // It would outlive a run that is stopped.
    const end = () => child.pid !== undefined && process.kill(-child.pid);
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    child.stdout?.pipe(words, { end: false });
    child.stderr?.pipe(words, { end: false });
    return child;
  }
}

/** The modules of a folder: how many, and how large together. */
export function modulesIn(folder: string): string {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".wasm"));
  const bytes = files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  return `${files.length}, ${(bytes / 1e6).toFixed(1)} MB`;
}

/** Some tools refuse the Node that everything else here runs on: the folder of a newer one. */
function nodeFor(oldest: number | undefined): string[] {
  if (oldest === undefined || Number(process.versions.node.split(".")[0]) >= oldest) return [];
  const { platform, arch } = process;
  return [join(CONSUMERS, "node/node_modules", `node-${platform}-${arch}`, "bin")];
}

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
