/** What an application's compiler must say of both doors. Only its types are checked. */
import { fal as official, type FalClient, type QueueStatus as OfficialStatus } from "@fal-ai/client";
import {
  ApiError,
  ValidationError,
  configure,
  createFalClient,
  fal,
  fetch,
  isCompletedQueueStatus,
  isRetryableError,
  parseEndpointId,
  withMiddleware,
  withProxy,
  type Backend,
  type FalModel,
  type QueueStatus,
  type RequestMiddleware,
  type StorageSettings,
  type TinySamOutput,
} from "tinysam";

import { TinySam, type Coco, type Mask, type Point, type Prompt } from "tinysam/engine";
import { fal as alone } from "tinysam/fal";

type Same<A, B> = [A, B] extends [B, A] ? true : never;

export async function engine(photo: File): Promise<void> {
  const sam = await TinySam.load({ size: 512 });
  const image = await sam.embed(photo, { crop: [0, 0, 100, 100] });
  const one: Mask[] = await image.segment({ points: [[1, 2]] });
  // As many lists as prompts, of whatever kinds.
  const [first, second] = await image.segment([{ points: [[1, 2], Float32Array.of(3, 4)], labels: Uint8Array.of(1, 0) }, { boxes: [[1, 2, 3, 4]] }]);
  const places: Point[] = [[1, 2]];
  const prompts: Prompt[] = places.map((point) => ({ points: [point] }));
  const many: Mask[][] = await image.segment(prompts);
  // @ts-expect-error: a point is two numbers
  await image.segment({ points: [[1, 2, 3]] });
  // @ts-expect-error: several points are a list of points
  await image.segment({ points: [1, 2] });
  // @ts-expect-error: the run is no promise
  (await image.everything()).length;
  const all: Mask[] = await image.everything().masks;
  const file: Coco = await image.toCoco([...one, ...first, ...second, ...many.flat(), ...all], { labels: ["cup"] });
  const again = await sam.restore(await image.toBytes({ precision: "f32" }), { photo });
  await sam.embed({ width: 1, height: 1, data: new Uint8Array(4) });
  const [polygon] = await first[0]!.toPolygons();
  const holes: number = polygon?.holes.length ?? 0;
  void [file.annotations[0]?.bbox, again.crop, holes, alone.run];
}

export async function typed(photo: File): Promise<void> {
  const { data, requestId } = await fal.subscribe("fal-ai/tiny-sam", {
    input: { image_url: photo, size: 1024, confidence: 0.4, box_prompt: [[0, 0, 0, 0]], point_prompt: [[300, 300]], point_label: [1] },
    logs: true,
    onQueueUpdate: (update) => update.status === "IN_PROGRESS" && update.logs.map(({ message }) => message),
    webhookUrl: "https://a.example/hook",
    abortSignal: new AbortController().signal,
  });
  const [output, url, id]: [TinySamOutput, string, string] = [data, data.image.url, requestId];
  void [output, url, id, data.masks?.[0]?.rle.counts];
  await fal.run("fal-ai/tiny-sam", { input: { image_url: "https://a.example/cat.png" } });
  // @ts-expect-error: the output has no such field
  void data.mask;

  // Code for fal's own types, which are loose about this endpoint, compiles as it did.
  const [points, labels]: [number[][], number[]] = [[[300, 300]], [1]];
  const loose = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url: "https://a.example/cat.png", point_prompt: points, point_label: labels } });
  const anything: number = loose.data.anything;
  void anything;

  // Other endpoints have fal's own types, and everything else of the client is there.
  const flux = await fal.subscribe("fal-ai/flux/dev", { input: { prompt: "a cat" } });
  const images: { url: string }[] = flux.data.images;
  const client: FalClient & Pick<typeof official, "config"> = fal;
  const statuses: Same<QueueStatus, OfficialStatus> = true;
  void [images, client, statuses];
  official.config({ fetch, proxyUrl: "/api/fal/proxy" });
  fal.config({ credentials: "key", retry: { maxRetries: 1 } });
  configure({ device: "auto", fallback: { proxyUrl: "/api/fal/proxy" }, weights: photo, onBackend: ({ backend }) => backend === "fal" });

  const model: FalModel = configure({ uploads: "fal", idle: 60 });
  const where: Backend = await model.preload();
  model.release();
  void where;

  // What else fal's client has.
  const middleware: RequestMiddleware = withMiddleware(withProxy({ targetUrl: "/api/fal/proxy" }));
  const mine = createFalClient({ requestMiddleware: middleware });
  const terms: StorageSettings = { expiresIn: "1h", initialAcl: { default: "forbid" } };
  const address: string = await mine.storage.upload(photo, { lifecycle: terms });
  const { data: whole } = await mine.run("fal-ai/tiny-sam", { input: { image_url: address, sync_mode: true }, storageSettings: terms });
  void [whole.image.url, parseEndpointId("fal-ai/tiny-sam").alias, isRetryableError(new Error(), [503])];
  const status = await mine.queue.status("fal-ai/tiny-sam", { requestId });
  if (isCompletedQueueStatus(status)) void status.metrics?.inference_time;

  await fal.queue.result("fal-ai/tiny-sam", { requestId }).catch((error: unknown) => {
    if (error instanceof ValidationError) return error.getFieldErrors("point_label").map(({ msg, type }) => [msg, type]);
    if (error instanceof ApiError) return error.status;
    throw error;
  });
}
