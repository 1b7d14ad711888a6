import { TinySamError } from "tinysam";
import type { Model } from "./state.js";

/** Whether an engine does not survive this. A GPU survives neither its own errors nor a want of memory. */
export function hasDied(error: unknown, model: Model | undefined): boolean {
  if (!(error instanceof TinySamError)) return false;
  const ofTheGpu = model?.sam.device.kind === "webgpu" && (error.code === "internal" || error.code === "out_of_memory");
  return ofTheGpu || error.code === "crashed" || error.code === "device_lost";
}

/** Whether it is what the page has asked for itself, by calling something off. */
export function isWanted(error: unknown): boolean {
  return error instanceof TinySamError && (error.code === "aborted" || error.code === "superseded");
}
