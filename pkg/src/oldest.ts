import { TinySamError } from "./errors.js";

/**
 * The oldest browsers with all that is used (README, Where it runs). Each lacks one thing in the version before: Chrome
 * `AbortSignal.throwIfAborted`, Firefox `OffscreenCanvas`, Safari both that and SIMD.
 * @internal
 */
export const OLDEST = "Chrome and Edge 100, Firefox 105, Safari 16.4";

/** A module with a reference type and an instruction of SIMD, as the engine's own have them. */
const LIKE_OURS = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
  1, 5, 1, 0x60, 0, 1, 0x7b, // a type: () -> v128
  3, 2, 1, 0, // a function of that type
  10, 11, 1, 9, 0, 0xd0, 0x6f, 0x1a, 0x41, 0, 0xfd, 0x0f, 0x0b, // ref.null extern; drop; i32.const 0; i8x16.splat; end
];

/**
 * Asks whether the engine can run here, before anything is fetched for it.
 *
 * @throws `unsupported`
 * @internal
 */
export function requireEngine(): void {
  if (typeof globalThis.WebAssembly === "undefined" || typeof globalThis.MessageChannel === "undefined") {
    throw new TinySamError("unsupported", "there is no WebAssembly here: tinysam runs in a browser, if its WebAssembly is not turned off");
  }
  if (!WebAssembly.validate(new Uint8Array(LIKE_OURS))) {
    throw new TinySamError("unsupported", `this browser's WebAssembly has no SIMD or no reference types: tinysam needs ${OLDEST} or newer`);
  }
}
