import type { QueueStatus } from "@fal-ai/client";
import { OF_THE_GPU, type DeviceChoice, type DeviceKind } from "../device.js";
import type { TinySamError } from "../errors.js";
import type { Backend, LocalEndpoint, LogLine, TinySamOutput } from "./endpoint.js";
import { engineError } from "./failures.js";
import { described, pictureOf } from "./picture.js";
import { runOnFal } from "./remote.js";
import { UploadFailed } from "./uploads.js";
import type { Fallback, Way } from "./ways.js";
import { failure, fault, type Outcome } from "./wire.js";

/** Where requests run. */
export interface Routing {
  /**
   * `auto` (default): WebGPU on a real GPU; else fal, if it is configured; else the CPU. `fal` never starts the engine.
   * `webgpu` and `cpu` use that device and nothing else, unless {@link fallback} says where to go from it.
   */
  readonly device?: "auto" | DeviceKind | "fal";
  /**
   * How to reach fal when the device cannot serve. Without it, a key or a proxy of the client that makes the request
   * counts as the wish to; `false` forbids it all the same.
   */
  readonly fallback?: Fallback | false;
  /**
   * Where `fal.storage.upload` puts a file: `held` in this page, until a request needs it elsewhere, or on `fal`.
   * Default: held, where an engine could run and {@link device} is not `fal`.
   */
  readonly uploads?: "held" | "fal";
  /** Told who serves a request, and why; again, when it goes on elsewhere. */
  readonly onBackend?: (served: { backend: Backend; reason: string; requestId: string }) => void;
}

/** A request to serve. */
export interface Work {
  readonly id: string;
  readonly input: unknown;
  /** The picture, where it is held here. */
  readonly image: Blob | undefined;
  readonly webhook: string | undefined;
  /** The caller waits for the answer itself (`run`), and so its client tries again, and not ours. */
  readonly direct: boolean;
  readonly signal: AbortSignal;
  /** The way to fal, if fal may be asked. */
  readonly way: () => Way | undefined;
  /** The input as fal is to have it. */
  readonly published: (way: Way) => Promise<unknown>;
  readonly log: (level: LogLine["level"], message: string) => void;
  /** The device is not needed any more. */
  readonly release: () => void;
}

/** What a request came to, and the seconds that it took, where they were measured elsewhere. */
export type Served = Outcome & { seconds?: number };

/** After these the engine starts afresh, and the request gets one more try. */
const TRY_AGAIN = ["device_lost", "crashed"];

/** What the engine may fail with that fal need not: what is the device's, its settings' or its weights'. */
const TRIGGERS: ReadonlySet<string> = new Set([
  ...OF_THE_GPU,
  "released",
  "checkpoint_unreachable",
  "checkpoint_invalid",
  "checkpoint_mismatch",
  "checkpoint_hash",
]);

/**
 * Serves one request, on the device or on fal; what it cannot do becomes an outcome, too. Rejects only on abort.
 *
 * @param settings read anew whenever something is decided: what was forbidden meanwhile is not done
 * @param again other settings came while the engine of the earlier ones worked at it
 */
export async function serve(work: Work, local: LocalEndpoint, settings: () => Routing, again = false): Promise<Served> {
  const { device = "auto" } = settings();
  const wayNow = () => {
    const { device = "auto", fallback } = settings();
    return fallback === false || (named(device) && fallback === undefined) ? undefined : work.way();
  };
  const tell = (backend: Backend, reason: string) => {
    work.log("INFO", `running on ${backend}: ${reason}`);
    if (backend !== "fal" && work.webhook !== undefined) work.log("WARN", "the webhook is not called: this device serves the request");
    settings().onBackend?.({ backend, reason, requestId: work.id });
  };
  /** Goes to fal, or says why it would have to; without an error of the engine there is no device for it. */
  const leave = async (reason: string, code = "device_unavailable"): Promise<Served> => {
    const way = wayNow();
    if (way === undefined) return refusal(reason, code, settings());
    work.release();
    tell("fal", reason);
    return ask(way, work);
  };

  if (device === "fal") return leave('`device` is "fal"');
  const lack = local.lacks();
  if (lack !== undefined) return leave(lack);
  let choice: DeviceChoice;
  try {
    choice = await choose(local, device);
  } catch (error) {
    return leave(text(error), code(error));
  }
  work.signal.throwIfAborted();
  if (device === "auto" && choice.kind === "cpu" && wayNow() !== undefined) {
    return leave(choice.reason.replace(/, so the CPU is used$/, ""));
  }
  let { kind, reason } = choice;
  for (let losses = 0; ; ) {
    if (losses === 0) tell(kind, reason);
    try {
      const answer = await run(kind, work, local);
      return answer.unreachable && wayNow() !== undefined ? await leave("the picture could not be fetched from here") : answer;
    } catch (error) {
      if (work.signal.aborted) throw error;
      reason = text(error);
      if (code(error) === "released" && !again) {
        work.log("WARN", `${reason}; trying again`);
        return serve(work, local, settings, true);
      }
      if (TRY_AGAIN.includes(code(error)) && ++losses < 2) {
        work.log("WARN", `${reason}; trying again`);
      } else if (wayNow() === undefined && device === "auto" && kind === "webgpu" && leavesGpu(error)) {
        [kind, reason, losses] = ["cpu", onCpuAfter(reason), 0];
        local.leaveGpu(reason);
      } else {
        return TRIGGERS.has(code(error)) ? leave(reason, code(error)) : engineError(code(error), reason, kind);
      }
    }
  }
}

/** The device for a request; where none can be asked about, `auto` is the CPU. */
async function choose(local: LocalEndpoint, device: string): Promise<DeviceChoice> {
  try {
    return await local.choose();
  } catch (error) {
    if (named(device)) throw error;
    return { kind: "cpu", reason: `${text(error)}, so the CPU is used`, software: false };
  }
}

/**
 * Has the model loaded where the next request would run; on `fal` there is nothing to load.
 *
 * @param elsewhere whether fal may be asked
 */
export async function prepare(local: LocalEndpoint, { device = "auto" }: Routing, elsewhere: boolean): Promise<Backend> {
  if (device === "fal" || (elsewhere && local.lacks() !== undefined)) return "fal";
  const { kind } = await choose(local, device);
  if (device === "auto" && kind === "cpu" && elsewhere) return "fal";
  try {
    await local.load(kind);
    return kind;
  } catch (error) {
    if (elsewhere || device !== "auto" || kind !== "webgpu" || !OF_THE_GPU.has(code(error))) throw error;
    local.leaveGpu(onCpuAfter(text(error)));
    await local.load("cpu");
    return "cpu";
  }
}

async function run(kind: DeviceKind, work: Work, local: LocalEndpoint): Promise<Outcome & { unreachable?: boolean }> {
  const { signal, log, id } = work;
  const { sync_mode = false, ...input } = (work.input ?? {}) as Record<string, unknown>;
  if (typeof sync_mode !== "boolean") {
    return failure(422, [{ ...fault(["sync_mode"], "Input should be a valid boolean", "bool_type"), input: sync_mode }], kind);
  }
  let image = work.image;
  try {
    image ??= await pictureOf(input.image_url);
  } catch (error) {
    if (error instanceof UploadFailed) return failure(error.status, error.detail, kind);
    throw error;
  }
  // What is at hand need not be copied into the engine a second time.
  const given = isRecord(work.input) ? { ...input, ...(image === undefined ? {} : { image_url: "data:," }) } : work.input;
  const answer = await local.run(given, image, { device: kind, signal, onLog: (line) => log(line.level, line.message) });
  if ("detail" in answer) return { ...failure(422, answer.detail, kind), unreachable: answer.unreachable };
  const body: TinySamOutput = { image: await described(answer, `${id}.png`, sync_mode), ...(answer.masks === undefined ? {} : { masks: answer.masks }) };
  return { status: 200, body, backend: kind };
}

/** Runs a request on fal, with fal's log lines and its own time. */
async function ask(way: Way, work: Work): Promise<Served> {
  let seconds: number | undefined;
  let lines = 0;
  const onUpdate = (status: QueueStatus) => {
    if (status.status === "IN_QUEUE") return;
    for (const { level, message } of (status.logs ?? []).slice(lines)) {
      work.log(level === "WARN" || level === "ERROR" ? level : "INFO", message);
      lines++;
    }
    if ("metrics" in status) seconds = status.metrics?.inference_time ?? undefined;
  };
  const { direct, webhook, signal } = work;
  const outcome = await runOnFal(way, () => work.published(way), { direct, webhook, signal, onUpdate });
  return seconds === undefined ? outcome : { ...outcome, seconds };
}

/** What comes of a request that would have to go to fal and may not: the device's error, with the remedy. */
function refusal(reason: string, code: string, { device = "auto", fallback }: Routing): Outcome {
  const what = `This device cannot serve the request: ${reason.replace(/[^?.!]$/, "$&.")}`;
  if (fallback === false) return engineError(code, `${what} fal was not asked: \`fallback\` is false.`);
  if (named(device)) return engineError(code, `${what} To let fal answer, set \`device\` to "auto", or \`fallback\`.`);
  const words = `${what} To let fal answer, set \`proxyUrl\` or \`credentials\` in fal.config(), or \`fallback\` in configure().`;
  // Where fal alone is to serve, what is missing is a key, and nothing else.
  return device === "fal" ? failure(401, words) : engineError(code, words);
}

function onCpuAfter(reason: string): string {
  return `WebGPU failed (${reason}), so the CPU is used`;
}

function named(device: string): device is DeviceKind {
  return device === "webgpu" || device === "cpu";
}

/** Whether the CPU may do what the GPU could not. What its engine survives, for want of other memory than the GPU's, it may not. */
function leavesGpu(error: unknown): boolean {
  return OF_THE_GPU.has(code(error)) && (code(error) !== "out_of_memory" || (error as TinySamError).endsDevice === true);
}

/** The stable name of an error of the engine's. */
function code(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code);
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
