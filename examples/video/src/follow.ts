import type { Box, Mask, Prompt, TinySam } from "tinysam/engine";

/** What a frame shows of the object. */
export interface Seen {
  /** Belongs to the receiver, who frees it. */
  readonly mask: Mask;
  /** The time of the frame, in seconds of the video. */
  readonly time: number;
}

/**
 * Follows an object through a video, from the frame that is shown: the prompt finds it there, and in each next frame the
 * last mask does, as low-resolution logits, with a box around it that leaves room to move. As many frames are looked at
 * as the device can manage; the others are left out. It ends when the object is gone, and throws when the signal aborts.
 */
export async function* follow(sam: TinySam, video: HTMLVideoElement, first: Prompt, signal: AbortSignal): AsyncGenerator<Seen, void> {
  let prompt = first;
  for (;;) {
    const time = video.currentTime;
    const image = await sam.embed(video, { signal });
    try {
      const [mask] = await image.segment(prompt, { signal });
      if (mask.area === 0 || mask.score < LOST) return mask.free();
      const logits = await mask.logits();
      prompt = { mask: logits, box: grown(mask.bbox, ROOM) };
      yield { mask, time };
    } finally {
      image.free();
    }
    await nextFrame(video, time, signal);
  }
}

/** Under this estimate of its quality, a mask is not the object any more. */
const LOST = 0.5;
/** How much of its sides an object may move between two frames that are looked at. */
const ROOM = 0.1;

function grown([x, y, width, height]: Box, by: number): Box {
  return [x - width * by, y - height * by, width * (1 + 2 * by), height * (1 + 2 * by)];
}

/** Waits until the video shows another frame than that of `time`. */
async function nextFrame(video: HTMLVideoElement, time: number, signal: AbortSignal): Promise<void> {
  while (video.currentTime === time) {
    signal.throwIfAborted();
    await new Promise(requestAnimationFrame);
  }
}
