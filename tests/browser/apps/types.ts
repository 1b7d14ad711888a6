/** What an application's compiler must say of fal's door. Only its types are checked. */
import { fal as official, type FalClient, type QueueStatus as OfficialStatus } from "@fal-ai/client";
import { ApiError, ValidationError, configure, fal, fetch, type QueueStatus, type TinySamOutput } from "tinysam";

type Same<A, B> = [A, B] extends [B, A] ? true : never;

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

  await fal.queue.result("fal-ai/tiny-sam", { requestId }).catch((error: unknown) => {
    if (error instanceof ValidationError) return error.getFieldErrors("point_label").map(({ msg, type }) => [msg, type]);
    if (error instanceof ApiError) return error.status;
    throw error;
  });
}
