import { element } from "./dom.js";
import { readPhoto, type Photo } from "./photos.js";

/** The camera: asked for on a click alone, and let go as soon as the photo is taken. */
export function watchCamera(take: (photo: Promise<Photo>) => void): void {
  const dialog = element("camera", HTMLDialogElement);
  const video = element("camera-video", HTMLVideoElement);
  const words = element("camera-words", HTMLElement);
  const shutter = element("camera-take", HTMLButtonElement);
  let stream: MediaStream | undefined;
  /** Of the dialog's opening: what an earlier one still waits for is not this one's. */
  let turn = 0;

  element("camera-open", HTMLButtonElement).addEventListener("click", () => {
    words.textContent = "Waiting for the camera…";
    shutter.disabled = true;
    video.hidden = false;
    dialog.showModal();
    void open();
  });
  shutter.addEventListener("click", () => {
    take(photograph(video));
    dialog.close();
  });
  element("camera-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    turn++;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    video.srcObject = null;
  });

  async function open(): Promise<void> {
    const mine = turn;
    try {
      // Absent where the page is not served by HTTPS.
      if (navigator.mediaDevices === undefined) throw new Error("the page must be served by HTTPS");
      const opened = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
      // The dialog was closed while the browser asked, and may be open anew.
      if (mine !== turn) return opened.getTracks().forEach((track) => track.stop());
      stream = video.srcObject = opened;
      await video.play();
      if (mine !== turn) return;
      words.textContent = "";
      shutter.disabled = false;
    } catch (error) {
      if (mine !== turn) return;
      const why = error instanceof Error ? error.message : String(error);
      video.hidden = true;
      words.textContent = `There is no camera to be had: ${why}. Choose a photo instead.`;
    }
  }
}

async function photograph(video: HTMLVideoElement): Promise<Photo> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return readPhoto(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }), "camera.jpg");
}
