"""A photo's part with prompts, and what each of them means."""
import cv2
import numpy as np

from ..scenes.prompts import PAD, box
from .album import Album
from .augment import cropped, pasted, recoloured, seen


def sample(rng: np.random.Generator, album: Album, side: int, prompts: int):
    """As `scenes.sample`, of a photo: what `batch.Batch` holds, without the batch's axis. Padding is background, and
    known to be."""
    smallest = max(24, int(0.001 * side * side))
    while True:
        shot = album.scene(rng)
        unlabelled = not (shot.objects > 0).any()
        shot = cropped(rng, shot, side)
        if unlabelled or rng.random() < 0.3:
            pasted(rng, album, shot, int(rng.integers(2, 6) if unlabelled else rng.integers(1, 4)))
        numbers = seen(shot.objects, smallest)
        if len(numbers):
            break
    pixels, objects = _padded(recoloured(rng, shot.rgb), side, PAD), _padded(shot.objects, side, 0)
    parts = None if shot.parts is None else _padded(shot.parts, side, 0)
    part_numbers = [] if parts is None else seen(parts, smallest)
    masks, coords, labels = [], [], []
    for _ in range(prompts):
        if len(part_numbers) and rng.random() < 0.3:
            mask = parts == part_numbers[int(rng.integers(len(part_numbers)))]
        else:
            mask = objects == numbers[int(rng.integers(len(numbers)))]
        mask = mask.astype(np.uint8)
        at, label = box(rng, mask) if rng.random() < 0.42 else click(rng, mask)
        masks.append(cv2.resize(mask * 255, (side // 2, side // 2), interpolation=cv2.INTER_AREA))
        coords.append(at)
        labels.append(label)
    places = np.ascontiguousarray(objects[2::4, 2::4]).astype(np.int16)
    return (
        np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.stack(masks), np.stack(coords), np.array(labels, np.int64),
        places,
    )  # fmt: skip


def click(rng: np.random.Generator, mask: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Where a person clicks: the deepest place or about there, well inside, now and then anywhere."""
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    kind = rng.random()
    if kind < 0.6:
        if kind < 0.35:
            depth = depth * (1 + 0.25 * rng.random(depth.shape, np.float32))
        at = int(depth.argmax())
    else:
        inside = np.flatnonzero(depth > (0.3 * depth.max() if kind < 0.85 else 0))
        at = int(inside[int(rng.integers(len(inside)))])
    y, x = np.unravel_index(at, depth.shape)
    return np.array([[x, y], [0, 0]], np.float32), [1, -1]


def _padded(pixels: np.ndarray, side: int, value) -> np.ndarray:
    """To the right and below, to a square of `side`."""
    whole = np.empty((side, side, *pixels.shape[2:]), pixels.dtype)
    whole[:] = value
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return whole
