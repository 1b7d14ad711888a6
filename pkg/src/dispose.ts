declare global {
  // As TypeScript 5.2 and newer have it: older ones, and applications without that library, know nothing of it.
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
}

/** `Symbol.dispose`, also in browsers that lack it: the key that compilers of `using` fall back to. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
