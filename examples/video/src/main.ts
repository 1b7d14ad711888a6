import { TinySam, TinySamError } from "tinysam/engine";
import { follow } from "./follow";

const input = document.querySelector("input")!;
const status = document.querySelector("p")!;
const video = document.querySelector("video")!;
const canvas = document.querySelector("canvas")!;
const context = canvas.getContext("2d")!;
const say = (text: string) => (status.textContent = text);
let following = new AbortController();

// A side of 256 is a tenth of the work of 1024: what makes a video bearable without a GPU.
const loading = TinySam.load({ size: 256, onProgress: ({ phase }) => say(`Loading (${phase})`) });
loading.then(() => video.src === "" && say("Choose a video."), complain);

input.addEventListener("change", () => {
  const [file] = input.files ?? [];
  if (file === undefined) return;
  following.abort();
  URL.revokeObjectURL(video.src);
  video.src = URL.createObjectURL(file);
});

video.addEventListener("loadedmetadata", () => {
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  void video.play();
  say("Click an object: it is followed from there.");
});

video.addEventListener("click", async ({ offsetX, offsetY }) => {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  const scale = video.videoWidth / video.clientWidth;
  const prompt = { points: [[offsetX * scale, offsetY * scale]] as const };
  try {
    const sam = await loading;
    for await (const { mask, time } of follow(sam, video, prompt, signal)) {
      const path = await mask.toPath2D();
      mask.free();
      if (signal.aborted) return;
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = "#1e90ff99";
      context.fill(path);
      say(`${time.toFixed(2)} s, score ${mask.score.toFixed(2)}`);
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    say("Lost: click it again.");
  } catch (error) {
    complain(error);
  }
});

/** What was called off is no error: something newer runs in its place. */
function complain(error: unknown): void {
  if (following.signal.aborted || (error instanceof TinySamError && error.code === "aborted")) return;
  say(String(error));
}
