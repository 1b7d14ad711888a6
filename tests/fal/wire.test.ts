import assert from "node:assert/strict";
import { test } from "node:test";
import { failure, fault, isFal, respond, route, unreachable } from "../../pkg/src/fal/wire.js";

const QUEUE = "https://queue.fal.run/fal-ai/tiny-sam";

test("the calls of the protocol are recognised", () => {
  const cases: [string, string, unknown][] = [
    ["POST", "https://fal.run/fal-ai/tiny-sam", { call: "run" }],
    ["POST", "https://fal.run/fal-ai/tiny-sam/", { call: "run" }],
    ["POST", QUEUE, { call: "submit", webhook: undefined }],
    ["POST", `${QUEUE}?fal_webhook=https%3A%2F%2Fa.example%2Fhook`, { call: "submit", webhook: "https://a.example/hook" }],
    ["GET", `${QUEUE}/requests/x1/status?logs=1`, { call: "status", id: "x1", logs: true }],
    ["GET", `${QUEUE}/requests/x1/status?logs=0`, { call: "status", id: "x1", logs: false }],
    ["GET", `${QUEUE}/requests/x1/status/stream?logs=1`, { call: "stream", id: "x1", logs: true }],
    ["GET", `${QUEUE}/requests/x1`, { call: "result", id: "x1" }],
    ["PUT", `${QUEUE}/requests/x1/cancel`, { call: "cancel", id: "x1" }],
    ["POST", "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3", { call: "initiate" }],
    ["POST", "https://rest.fal.ai/storage/upload/initiate-multipart?storage_type=fal-cdn-v3", { call: "initiate" }],
    ["PUT", "https://device.tinysam.invalid/files/ab-c.png", { call: "file", url: "https://device.tinysam.invalid/files/ab-c.png", part: undefined }],
    ["PUT", "https://device.tinysam.invalid/files/ab-c.png/3", { call: "file", url: "https://device.tinysam.invalid/files/ab-c.png", part: "3" }],
    // Nothing else may leave for fal with a picture in it.
    ["GET", "https://fal.run/fal-ai/tiny-sam", { call: "unknown" }],
    ["POST", "https://fal.run/fal-ai/tiny-sam/stream", { call: "unknown" }],
    ["DELETE", `${QUEUE}/requests/x1`, { call: "unknown" }],
    ["PUT", `${QUEUE}/requests/x1/status`, { call: "unknown" }],
  ];
  for (const [method, url, expected] of cases) assert.deepEqual(route(method, url), expected, `${method} ${url}`);
});

test("everything else is not ours", () => {
  for (const url of [
    "https://fal.run/fal-ai/tiny-sam-2",
    "https://queue.fal.run/fal-ai/flux",
    "https://queue.fal.run/fal-ai/flux/requests/x1/status",
    "https://queue.fal.run/workflows/fal-ai/tiny-sam",
    "https://fal.run.example/fal-ai/tiny-sam",
    "https://example.com/https://fal.run/fal-ai/tiny-sam",
    "https://rest.fal.ai/tokens/",
    "/api/fal/proxy",
    "blob:https://example.com/1",
    "",
  ]) {
    assert.equal(route("POST", url), undefined, url);
  }
});

test("fal's own addresses are told from those that look like them", () => {
  for (const url of ["https://fal.run/x", "https://queue.fal.run", "https://rest.fal.ai/y", "https://fal.ai:443/"]) assert.ok(isFal(url), url);
  for (const url of [
    "http://fal.run/x",
    "https://fal.run.example/x",
    "https://notfal.run/x",
    "https://example.com/?https://fal.run/",
    "https://user@fal.run/",
    "https://example.com#.fal.run/",
  ]) {
    assert.ok(!isFal(url), url);
  }
});

test("an error's words stand in the status line, whatever their letters", async () => {
  const detail = [fault(["point_label"], "größer\nals 1 ×", "value_error")];
  const response = respond("tinysam-1", failure(422, detail, "cpu"));
  assert.equal(response.statusText, "point_label: gr??er?als 1 x");
  assert.equal(response.headers.get("x-fal-request-id"), "tinysam-1");
  assert.equal(response.headers.get("x-tinysam-backend"), "cpu");
  assert.deepEqual(await response.json(), { detail });
});

test("what is wrong with an input is told as fal documents it, and is so however often it is sent", async () => {
  const response = respond("tinysam-1", failure(422, unreachable("it is gone")));
  const url = "https://docs.fal.ai/errors#file_download_error";
  assert.deepEqual(await response.json(), { detail: [{ loc: ["body", "image_url"], msg: "it is gone", type: "file_download_error", url }] });
  assert.deepEqual([response.headers.get("x-fal-retryable"), response.headers.get("x-fal-error-type")], ["false", null]);
  assert.equal(respond("tinysam-1", failure(401, "no key")).headers.get("x-fal-retryable"), null, "with a key it would be served");
});

test("only a word of fal's kind becomes a header", () => {
  for (const [error_type, header] of [["runner_disconnected", "runner_disconnected"], [7, null], ["two\nlines", null]] as const) {
    assert.equal(respond("1", { status: 500, body: { error_type }, backend: "fal" }).headers.get("x-fal-error-type"), header);
  }
  for (const body of [null, undefined, "words"]) assert.equal(respond("1", { status: 200, body, backend: "fal" }).headers.get("x-fal-error-type"), null);
});
