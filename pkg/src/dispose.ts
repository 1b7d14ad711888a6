/// <reference lib="esnext.disposable" preserve="true" />

/** `Symbol.dispose`, also in browsers that lack it: the key that compilers of `using` fall back to. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
