/**
 * The engine's door alone, `tinysam/engine`: without fal's client.
 */
export { TinySam } from "./sam.js";
export { SamImage } from "./image.js";
export type { EmbedOptions, EverythingRunOptions, LoadOptions, RestoreOptions, SaveOptions } from "./calls.js";
export { Mask, type Refinement } from "./mask.js";
export { Everything, type EverythingProgress } from "./everything.js";
export type { WorkerMaker } from "./start.js";
export { chooseDevice, type DeviceChoice, type DeviceKind } from "./device.js";
export { TinySamError, type ErrorCode } from "./errors.js";
export { PICTURE_LIMITS } from "./limits.js";
export { DEFAULT_WEIGHTS } from "./weights.js";
export type { Precision } from "./protocol.js";
export type { Coco, CocoAnnotation, CocoOptions, GeoJSONMasks, Labelme, RecordOptions } from "./records.js";
export type {
  Box,
  EverythingOptions,
  ImageSource,
  Label,
  LayersKind,
  ModelName,
  Numbers,
  PixelData,
  PngKind,
  Point,
  Polygon,
  Progress,
  Prompt,
  Rle,
  SegmentOptions,
  WeightsSource,
} from "./types.js";
