import type { FalClient, QueueStatus } from "@fal-ai/client";
import type { DeviceChoice, DeviceKind } from "../device.js";
import type { Backend, LocalEndpoint, LogLine, TinySamOutput } from "./endpoint.js";
import type { Files } from "./files.js";
import { runOnFal, type Fallback } from "./remote.js";
import { failure, type Outcome } from "./wire.js";

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
  readonly signal: AbortSignal;
  /** fal's client, if fal may be asked. */
  readonly remote: () => FalClient | undefined;
  readonly log: (level: LogLine["level"], message: string) => void;
  /** The device is not needed any more. */
  readonly release: () => void;
}

/** What the engine may fail with that fal need not: what people are told of it. */
const TRIGGERS: Record<string, string> = {
  device_unavailable: "the device could not be created",
  device_lost: "the GPU was lost twice",
  out_of_memory: "the device has no memory for this",
  checkpoint_unreachable: "the weights could not be fetched",
  checkpoint_invalid: "the weights cannot be read",
  checkpoint_mismatch: "the weights are not TinySAM's",
  checkpoint_hash: "the weights are corrupt",
  crashed: "the engine crashed twice",
  unsupported: "the engine cannot start here",
};

/** After these the engine starts afresh, and the request gets one more try. */
const TRY_AGAIN = ["device_lost", "crashed"];

/** Serves one request, on the device or on fal; what it cannot do becomes an outcome, too. Rejects only on abort. */
export async function serve(work: Work, local: LocalEndpoint, files: Files, routing: Routing): Promise<Outcome & { seconds?: number | null }> {
  const { device = "auto" } = routing;
  const remote = routing.fallback === false || (named(device) && routing.fallback === undefined) ? undefined : work.remote();
  const tell = (backend: Backend, reason: string) => {
    work.log("INFO", `running on ${backend}: ${reason}`);
    routing.onBackend?.({ backend, reason, requestId: work.id });
  };
  /** Goes to fal, or says why it would have to. */
  const leave = async (reason: string): Promise<Outcome> => {
    if (remote === undefined) return failure(...refusal(reason, routing));
    work.release();
    tell("fal", reason);
    return ask(remote, work, files);
  };

  if (device === "fal") return leave('`device` is "fal"');
  let choice: DeviceChoice;
  try {
    choice = await local.choose();
  } catch (error) {
    return leave(text(error));
  }
  work.signal.throwIfAborted();
  if (device === "auto" && choice.kind === "cpu" && remote !== undefined) {
    return leave(choice.reason.replace(/, so the CPU is used$/, ""));
  }
  tell(choice.kind, choice.reason);
  if (work.webhook !== undefined) work.log("WARN", "the webhook is not called: the request runs on this device");
  try {
    const answer = await twice(work, (kind) => run(kind, work, local), choice.kind, (reason) => {
      if (device !== "auto" || remote !== undefined) return false;
      tell("cpu", reason);
      return true;
    });
    if (!("unreachable" in answer) || !answer.unreachable || remote === undefined) return answer;
    return await leave("the picture could not be fetched from here");
  } catch (error) {
    if (work.signal.aborted) throw error;
    const trigger = TRIGGERS[code(error)];
    if (trigger === undefined) return failure(500, text(error), choice.kind);
    if (remote !== undefined) work.log("WARN", `${trigger}: ${text(error)}`);
    return leave(`${trigger} (${text(error)})`);
  }
}

/** One more try after a loss; and the CPU in place of a GPU that refuses, where nothing else is configured. */
async function twice<T>(
  work: Work,
  run: (kind: DeviceKind) => Promise<T>,
  kind: DeviceKind,
  mayUseCpu: (reason: string) => boolean,
): Promise<T> {
  try {
    return await run(kind);
  } catch (error) {
    if (work.signal.aborted) throw error;
    if (TRY_AGAIN.includes(code(error))) {
      work.log("WARN", `${text(error)}; trying again`);
      return run(kind);
    }
    if (kind === "webgpu" && code(error) === "device_unavailable" && mayUseCpu(text(error))) return run("cpu");
    throw error;
  }
}

async function run(kind: DeviceKind, work: Work, local: LocalEndpoint): Promise<Outcome & { unreachable?: boolean }> {
  const { signal, log } = work;
  const answer = await local.run(work.input, work.image, { device: kind, signal, onLog: (line) => log(line.level, line.message) });
  if ("detail" in answer) return { ...failure(422, answer.detail, kind), unreachable: answer.unreachable };
  const { picture, width, height, masks } = answer;
  const image = {
    url: URL.createObjectURL(picture),
    content_type: "image/png",
    file_name: `${work.id}.png`,
    file_size: picture.size,
    width,
    height,
  };
  const body: TinySamOutput = { image, ...(masks === undefined ? {} : { masks }) };
  return { status: 200, body, backend: kind };
}

/** Runs a request on fal, with fal's log lines and its own time. */
async function ask(remote: FalClient, work: Work, files: Files): Promise<Outcome & { seconds?: number | null }> {
  let seconds: number | null | undefined;
  let lines = 0;
  const onUpdate = (status: QueueStatus) => {
    if (status.status === "IN_QUEUE") return;
    for (const { level, message } of (status.logs ?? []).slice(lines)) {
      work.log(level === "WARN" || level === "ERROR" ? level : "INFO", message);
      lines++;
    }
    if (status.status === "COMPLETED") seconds = status.metrics?.inference_time ?? null;
  };
  const outcome = await runOnFal(remote, work.input, files, { webhook: work.webhook, signal: work.signal, onUpdate });
  return seconds === undefined ? outcome : { ...outcome, seconds };
}

/** The status and the words for a request that would have to go to fal and may not. */
function refusal(reason: string, { device = "auto", fallback }: Routing): [number, string] {
  const what = `This request cannot be served on this device: ${reason}.`;
  if (fallback === false) return [500, `${what} Falling back to fal is forbidden by \`fallback: false\`.`];
  if (named(device)) return [500, `${what} \`device\` is "${device}": set it to "auto", or set \`fallback\` to let fal answer.`];
  return [401, `${what} To let fal answer in its place, set \`proxyUrl\` or \`credentials\` in fal.config(), or \`fallback\` in configure().`];
}

function named(device: string): device is DeviceKind {
  return device === "webgpu" || device === "cpu";
}

function code(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
