/** One page in a browser, by whatever client knows that browser. */
export interface Driver {
  goto(address: string): Promise<void>;
  /** Calls a function in the page, which sees nothing but its arguments; both these and the outcome are JSON. */
  run<Args extends unknown[], T>(inPage: (...args: Args) => T | Promise<T>, ...args: Args): Promise<T>;
  /** Clicks in the middle of an element. */
  click(selector: string): Promise<void>;
  close(): Promise<void>;
}

/** How long a browser may take to start, or for a call, in milliseconds: as long as a test may (playwright.config.ts). */
export const PATIENCE = 600_000;

/** A call as an expression: clients' own ways to pass functions differ, and a page's policies may forbid `eval`. */
export function expression(inPage: (...args: never[]) => unknown, args: unknown[]): string {
  return `(${inPage})(...${JSON.stringify(args)})`;
}
