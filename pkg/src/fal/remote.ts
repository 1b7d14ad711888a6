import { ApiError, type QueueStatus } from "@fal-ai/client";
import { ENDPOINT } from "./endpoint.js";
import { UploadFailed } from "./uploads.js";
import { Refused, type Way } from "./ways.js";
import { TIMEOUT_TYPE, failure, type Outcome } from "./wire.js";

/** Runs a request on fal, in its queue or `direct`, and hands on what fal says of it while it lasts. */
export async function runOnFal(
  way: Way,
  input: () => Promise<unknown>,
  call: { direct: boolean; webhook: string | undefined; signal: AbortSignal; onUpdate: (status: QueueStatus) => void },
): Promise<Outcome> {
  const { signal } = call;
  const client = way.client({ retries: !call.direct });
  let requestId: string | undefined;
  const cancel = () => {
    if (requestId !== undefined) client.queue.cancel(ENDPOINT, { requestId }).catch(() => undefined);
  };
  signal.addEventListener("abort", cancel);
  try {
    const sent = (await input()) as Record<string, unknown>;
    signal.throwIfAborted();
    if (call.direct) {
      const { data } = await client.run(ENDPOINT, { input: sent, abortSignal: signal });
      return { status: 200, body: data, backend: "fal" };
    }
    const webhookUrl = call.webhook === undefined ? {} : { webhookUrl: call.webhook };
    const submitted = await client.queue.submit(ENDPOINT, { input: sent, abortSignal: signal, ...webhookUrl });
    requestId = submitted.request_id;
    call.onUpdate(submitted);
    await client.queue.subscribeToStatus(ENDPOINT, { requestId, logs: true, abortSignal: signal, onQueueUpdate: call.onUpdate });
    const { data } = await client.queue.result(ENDPOINT, { requestId, abortSignal: signal });
    return { status: 200, body: data, backend: "fal" };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof UploadFailed) return failure(error.status, error.detail, "fal");
    const told: unknown = error instanceof Refused ? await error.toApiError() : error;
    if (told instanceof ApiError) {
      const { status, message: reason, body = { detail: reason }, timeoutType } = told;
      return { status, body, backend: "fal", reason, ...(timeoutType ? { headers: { [TIMEOUT_TYPE]: timeoutType } } : {}) };
    }
    return failure(500, `the request to fal failed: ${error instanceof Error ? error.message : String(error)}`, "fal");
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
