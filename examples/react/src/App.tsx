import { useEffect, useState, type ChangeEvent, type MouseEvent } from "react";
import type { Label, Point } from "tinysam/engine";
import { useSegmentation, useTinySam, type Model } from "./tinysam";

interface Clicks {
  readonly points: readonly Point[];
  readonly labels: readonly Label[];
}

const NONE: Clicks = { points: [], labels: [] };

export function App() {
  const [photo, setPhoto] = useState<File>();
  const [clicks, setClicks] = useState(NONE);
  const model = useTinySam();
  const { ready, mask, error } = useSegmentation(model.sam, photo, clicks === NONE ? undefined : clicks);
  const address = useAddress(photo);

  function choose({ target }: ChangeEvent<HTMLInputElement>) {
    setPhoto(target.files?.[0]);
    setClicks(NONE);
  }

  function click({ nativeEvent: { offsetX, offsetY }, currentTarget: shown, shiftKey }: MouseEvent<HTMLImageElement>) {
    const scale = shown.naturalWidth / shown.clientWidth;
    const label = shiftKey ? 0 : 1;
    setClicks(({ points, labels }) => ({ points: [...points, [offsetX * scale, offsetY * scale]], labels: [...labels, label] }));
  }

  const failed = model.error ?? error;
  return (
    <>
      <input type="file" accept="image/*" aria-label="Photo" onChange={choose} />
      {failed === undefined ? <p role="status">{told(model, photo, ready, mask?.score)}</p> : <p role="alert">{failed}</p>}
      <div className="photo">
        {address && <img src={address} alt="" onClick={click} />}
        {mask && (
          <svg viewBox={`0 0 ${mask.width} ${mask.height}`}>
            <path d={mask.path} />
          </svg>
        )}
      </div>
    </>
  );
}

function told({ sam, progress }: Model, photo: File | undefined, ready: boolean, score: number | undefined): string {
  if (sam === undefined) {
    const { phase = "module", loaded = 0, total } = progress ?? {};
    return `Loading (${phase}${total === undefined ? "" : `, ${Math.round((100 * loaded) / total)} %`})`;
  }
  if (photo === undefined) return `Choose a photo. It stays on this machine (${sam.device.kind}).`;
  if (!ready) return "Looking at the photo";
  return score === undefined ? "Click an object; with Shift, what does not belong to it." : `Score ${score.toFixed(2)}`;
}

/** An address that shows a file, for as long as it is this file. */
function useAddress(file: File | undefined): string | undefined {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    if (file === undefined) return;
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => {
      URL.revokeObjectURL(made);
      setAddress(undefined);
    };
  }, [file]);
  return address;
}
