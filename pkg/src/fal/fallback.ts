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
  /** The caller waits for the answer itself (`run`), and so its client tries again, and not ours. */
  readonly direct: boolean;
  readonly signal: AbortSignal;
  /** fal's client, if fal may be asked. */
  readonly remote: () => FalClient | undefined;
  readonly log: (level: LogLine["level"], message: string) => void;
  /** The device is not needed any more. */
  readonly release: () => void;
}

/** After these the engine starts afresh, and the request gets one more try. (`released`: other settings came.) */
const TRY_AGAIN = ["device_lost", "crashed", "released"];

/** What the engine may fail with that fal need not. */
const TRIGGERS = [
  ...TRY_AGAIN,
  "device_unavailable",
  "out_of_memory",
  "checkpoint_unreachable",
  "checkpoint_invalid",
  "checkpoint_mismatch",
  "checkpoint_hash",
  "unsupported",
];

/** Serves one request, on the device or on fal; what it cannot do becomes an outcome, too. Rejects only on abort. */
export async function serve(work: Work, local: LocalEndpoint, files: Files, routing: Routing): Promise<Outcome & { seconds?: number | null }> {
  const { device = "auto" } = routing;
  const remote = routing.fallback === false || (named(device) && routing.fallback === undefined) ? undefined : work.remote();
  const tell = (backend: Backend, reason: string) => {
    work.log("INFO", `running on ${backend}: ${reason}`);
    if (backend !== "fal" && work.webhook !== undefined) work.log("WARN", "the webhook is not called: this device serves the request");
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
  let { kind, reason } = choice;
  for (let losses = 0; ; ) {
    if (losses === 0) tell(kind, reason);
    try {
      const answer = await run(kind, work, local);
      return answer.unreachable && remote !== undefined ? await leave("the picture could not be fetched from here") : answer;
    } catch (error) {
      if (work.signal.aborted) throw error;
      reason = text(error);
      if (TRY_AGAIN.includes(code(error)) && ++losses < 2) {
        work.log("WARN", `${reason}; trying again`);
      } else if (kind === "webgpu" && device === "auto" && remote === undefined && code(error) === "device_unavailable") {
        kind = "cpu";
      } else {
        return TRIGGERS.includes(code(error)) ? leave(reason) : failure(500, reason, kind);
      }
    }
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
  const outcome = await runOnFal(remote, work.input, files, { direct: work.direct, webhook: work.webhook, signal: work.signal, onUpdate });
  return seconds === undefined ? outcome : { ...outcome, seconds };
}

/** The status and the words for a request that would have to go to fal and may not. */
function refusal(reason: string, { device = "auto", fallback }: Routing): [number, string] {
  const what = `This device cannot serve the request: ${reason}.`;
  if (fallback === false) return [500, `${what} fal was not asked: \`fallback\` is false.`];
  if (named(device)) return [500, `${what} To let fal answer, set \`device\` to "auto", or \`fallback\`.`];
  return [401, `${what} To let fal answer, set \`proxyUrl\` or \`credentials\` in fal.config(), or \`fallback\` in configure().`];
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
