import type { Backend } from "./endpoint.js";
import { RETRYABLE, failure, type Outcome } from "./wire.js";

/** fal's names for what goes wrong with a request as a whole, each with the status that fal documents for it. */
const STATUS = {
  client_cancelled: 499,
  internal_error: 500,
  runner_server_error: 500,
  runner_connection_error: 503,
  runner_disconnected: 503,
  runner_scheduling_failure: 503,
  startup_timeout: 504,
} as const;

type RequestError = keyof typeof STATUS;

/** What fal would call an engine's failure; every other code is an `internal_error`. */
const OF_CODE: Readonly<Record<string, RequestError>> = {
  aborted: "client_cancelled",
  device_unavailable: "runner_scheduling_failure",
  unsupported: "runner_scheduling_failure",
  device_lost: "runner_disconnected",
  crashed: "runner_disconnected",
  released: "runner_disconnected",
  out_of_memory: "runner_server_error",
  checkpoint_unreachable: "runner_connection_error",
  module_unreachable: "runner_connection_error",
};

/** After these the same request, sent again, may be served: the engine starts afresh, and asks the network again. */
const MAY_PASS: readonly RequestError[] = ["runner_disconnected", "runner_connection_error"];

/** A request error of fal's: `{detail, error_type}`. */
export function requestError(type: RequestError, reason: string, backend?: Backend): Outcome {
  const { body, ...outcome } = failure(STATUS[type], reason, backend);
  return { ...outcome, body: { ...(body as object), error_type: type }, headers: { [RETRYABLE]: `${MAY_PASS.includes(type)}` } };
}

/** An engine's failure, by its code, as fal would put it. */
export function engineError(code: string, reason: string, backend?: Backend): Outcome {
  return requestError(OF_CODE[code] ?? "internal_error", reason, backend);
}
