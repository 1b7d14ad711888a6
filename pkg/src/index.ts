/**
 * TinySAM in the browser: a picture and a prompt become a mask, on the user's own machine.
 * Importing this touches nothing of a browser; the engine is fetched by {@link TinySam.load}.
 */
export { TinySam, type EmbedOptions, type LoadOptions } from "./sam.js";
export { SamImage, type EverythingRunOptions, type SegmentOptions } from "./image.js";
export { Mask, type Refinement } from "./mask.js";
export { Everything, type EverythingProgress } from "./everything.js";
export { chooseDevice, type DeviceChoice, type DeviceKind } from "./device.js";
export { ApiError, ValidationError, configure, fal, fetch, type FalSettings } from "./fal/client.js";
export type { Backend, FalImage, TinySamInput, TinySamMask, TinySamOutput } from "./fal/endpoint.js";
export { TinySamError, type ErrorCode } from "./errors.js";
export { DEFAULT_WEIGHTS } from "./weights.js";
export type {
  Box,
  EverythingOptions,
  ImageSource,
  Label,
  LayersKind,
  PngKind,
  Point,
  Progress,
  Prompt,
  Rle,
  WeightsSource,
} from "./types.js";
export type { FalClient, QueueStatus, Result } from "@fal-ai/client";
