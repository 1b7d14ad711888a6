import type { DeviceChoice, DeviceKind } from "../device.js";
import type { Box, Point, Rle } from "../types.js";

/** The endpoint whose requests the device answers. */
export const ENDPOINT = "fal-ai/tiny-sam";

/** The input of `fal-ai/tiny-sam`: fal's six fields, and ours, which are never sent to fal. */
export interface TinySamInput {
  /** An `http(s):`, `data:` or `blob:` URL of the picture; a file is uploaded by the client, here to memory. */
  image_url: string | Blob;
  /** The side at which the network sees the picture, rounded up to a multiple of 64, at most 1024. Default 1024. */
  size?: number;
  /** Threshold on the predicted IoU of a mask, 0 to 1. Default 0.4, which in everything mode means the paper's 0.88. */
  confidence?: number;
  /** Boxes, in pixels of the original picture; they win over points. */
  box_prompt?: readonly Box[] | null;
  /** Points, in pixels of the original picture: one joint prompt. */
  point_prompt?: readonly Point[] | null;
  /** One for each point: 1 is on the object, 0 is not. Absent labels mean 1. */
  point_label?: readonly (0 | 1)[] | null;
  /** Ours. What the picture shows: the photo with the masks over it (default), the masks in white, or the objects. */
  output?: "overlay" | "mask" | "cutout";
  /** Ours. Adds {@link TinySamOutput.masks}. */
  return_masks?: boolean;
  /** Ours. The three masks that the model proposes for a prompt, in place of the best. */
  multimask?: boolean;
  /** Ours, everything mode. Default 0.88. */
  pred_iou_thresh?: number;
  /** Ours, everything mode. Default 0.95. */
  stability_score_thresh?: number;
  /** Ours, everything mode. Default 32. */
  points_per_side?: number;
  /** Ours. Holes and islands under so many pixels are removed. Default 0: none. */
  min_mask_region_area?: number;
  /** Ours. `joint`: the points refine the one box. */
  combine?: "fal" | "joint";
  /**
   * Ours, as many of fal's endpoints have it. The picture of the answer is a `data:` URI, which can be kept for ever.
   */
  sync_mode?: boolean;
}

/** The output of `fal-ai/tiny-sam`. */
export interface TinySamOutput {
  /** The combined picture of all masks, at the size of the original. */
  image: FalImage;
  /** Only with `return_masks`, and only on the device. */
  masks?: TinySamMask[];
}

/** A picture as fal describes one. On the device the URL is a `blob:` URL of this page, or a `data:` URI. */
export interface FalImage {
  url: string;
  content_type: string;
  file_name: string;
  file_size: number;
  width: number;
  height: number;
}

/** One mask: in the order of the boxes, or, in everything mode, best first. */
export interface TinySamMask {
  rle: Rle;
  score: number;
  stability: number;
  /** In pixels of the original picture. */
  bbox: Box;
  area: number;
}

/** Who answered a request. */
export type Backend = DeviceKind | "fal";

/** A log line of the engine, without its time. */
export interface LogLine {
  level: "INFO" | "WARN" | "ERROR";
  message: string;
}

/** An entry of `detail` in an answer with status 422. */
export interface Fault {
  loc: (string | number)[];
  msg: string;
  type: string;
  /** Where fal documents the type. */
  url: string;
  ctx?: Record<string, unknown>;
  input?: unknown;
}

/** What the engine says to a request: its picture, or what is wrong with it. */
export type EngineAnswer =
  | { picture: Blob; width: number; height: number; masks?: TinySamMask[] }
  /** `unreachable`: the picture could not be fetched from here, which fal may be able to. */
  | { detail: Fault[]; unreachable: boolean };

/** The engine as the router sees it: one way in, so that tests can put another behind it. */
export interface LocalEndpoint {
  /** What an engine would need that is not here, in words that say what to do; nothing in a page. */
  lacks(): string | undefined;
  /** Where a request would run and why, without loading a module or weights. */
  choose(): Promise<DeviceChoice>;
  /** Has the model loaded on a device, before a request needs it. Throws as {@link run} does. */
  load(device: DeviceKind): Promise<void>;
  /** The GPU has failed: under `auto` the CPU is chosen from now on. */
  leaveGpu(reason: string): void;
  /**
   * Runs one request.
   *
   * @param image the picture, where it is held here; else the engine fetches the input's `image_url`
   * @throws errors with a `code`, those of {@link TinySamError}
   */
  run(
    input: unknown,
    image: Blob | undefined,
    options: { device: DeviceKind; signal: AbortSignal; onLog: (line: LogLine) => void },
  ): Promise<EngineAnswer>;
}
