import type { Page } from "@playwright/test";
import { StandIn, type StandInOptions } from "../fal/stand-in.ts";
import { test as base, expect } from "./fixtures.ts";

export { expect };
export const KEY = "the-key:of-the-tests";

/** A page with the package, and a stand-in for fal that it may or may not be told of. */
export const test = base.extend<{ standIn: StandIn; standInOptions: StandInOptions; door: Door }>({
  standInOptions: [{ key: KEY }, { option: true }],
  standIn: async ({ standInOptions }, use) => {
    const standIn = await StandIn.start(standInOptions);
    await use(standIn);
    await standIn.close();
  },
  door: async ({ app, page, standIn }, use) => {
    await use(new Door(page, standIn, () => app.open()));
  },
});

/** What {@link Door.open} tells `configure`. */
export interface DoorSettings {
  readonly device?: "auto" | "cpu" | "webgpu" | "fal";
  readonly workers?: number;
  /** Whether the stand-in is there to fall back to. */
  readonly fallback?: boolean;
  readonly weights?: string;
  readonly sha256?: string;
}

/** What of the network a test wants to hear about. */
export class Door {
  readonly page: Page;
  /** Every address that the page and its workers have asked for. */
  readonly asked: string[] = [];
  readonly #standIn: StandIn;
  readonly #open: () => Promise<Page>;

  constructor(page: Page, standIn: StandIn, open: () => Promise<Page>) {
    this.page = page;
    this.#standIn = standIn;
    this.#open = open;
    page.context().on("request", (request) => this.asked.push(request.url()));
  }

  /** Opens the application, which then has the tests' weights and sends fal's requests to the stand-in. */
  async open(settings: DoorSettings = {}): Promise<Page> {
    const page = await this.#open();
    const { fallback = false, ...rest } = settings;
    await page.evaluate(
      ({ rest, fallback, key, origin }) => {
        const served: { backend: string; reason: string }[] = [];
        const toStandIn: typeof fetch = (input, init) => fetch(`${origin}/${String(input).replace("://", "/")}`, init);
        tinysam.configure({
          weights: "/models/formula.safetensors",
          onBackend: (who) => served.push(who),
          ...(fallback ? { fallback: { credentials: key, fetch: toStandIn } } : {}),
          ...rest,
        });
        Object.assign(globalThis, { served });
      },
      { rest, fallback, key: KEY, origin: this.#standIn.origin },
    );
    return page;
  }

  /** What of the engine was asked for. */
  engine(): string[] {
    return this.asked.filter((url) => /\.wasm|worker-|\.safetensors|\.pth/.test(url));
  }

  /** What was asked of fal under its own name. */
  fal(): string[] {
    return this.asked.filter((url) => /^https:\/\/[^/]*fal\.(run|ai)/.test(url));
  }
}

declare global {
  /** Who served, as `onBackend` was told. */
  var served: { backend: string; reason: string }[];
}
