"""What is done to a photo before it is trained on: a part of it, mirrored; other objects pasted in; other colours."""
import cv2
import numpy as np

from .album import UNKNOWN, Album, Shot

PASTED_FROM = 600
"""Pixels an object needs in its own photo to be pasted into another."""


def cropped(rng: np.random.Generator, shot: Shot, side: int) -> Shot:
    """A random part of the photo, at most `side` wide and high; half the time the whole."""
    height, width = shot.objects.shape
    scale = side / max(height, width)
    if rng.random() < 0.5:
        scale *= float(np.exp(rng.uniform(np.log(0.7), np.log(1.9))))
    stretch = float(np.exp(rng.normal(0, 0.08))) if rng.random() < 0.3 else 1.0
    size = max(16, round(width * scale * stretch)), max(16, round(height * scale / stretch))
    left, top = (int(rng.integers(0, max(1, n - side + 1))) for n in size)
    part, mirror = np.s_[top : top + side, left : left + side], 1 if rng.random() < 0.5 else -1

    def cut(pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pixels[part][:, ::mirror])

    def of_map(pixels: np.ndarray) -> np.ndarray:
        return cut(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))

    rgb = cut(cv2.resize(shot.rgb, size, interpolation=_filter(scale)))
    return Shot(rgb, of_map(shot.objects), None if shot.parts is None else of_map(shot.parts))


def pasted(rng: np.random.Generator, album: Album, shot: Shot, count: int) -> None:
    """Up to `count` objects of other photos over this one, which is changed; what they cover is theirs."""
    height, width = shot.objects.shape
    number = int(shot.objects.max(initial=0))
    for _ in range(count):
        cutout = _cutout(rng, album.labelled(rng), max(height, width))
        if cutout is None:
            continue
        rgb, mask = cutout
        left, top = int(rng.uniform(-0.2, 1.0) * width), int(rng.uniform(-0.2, 1.0) * height)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + mask.shape[1], width), min(top + mask.shape[0], height)
        if min(x1 - x0, y1 - y0) < 6:
            continue
        there, here = np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        rgb, mask, number = rgb[here], mask[here], number + 1
        soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 1.0)).astype(np.float32)[..., None] / 255
        shot.rgb[there] = (shot.rgb[there] * (1 - soft) + rgb * soft).astype(np.uint8)
        shot.objects[there][mask > 127] = number
        if shot.parts is not None:
            shot.parts[there][mask > 127] = UNKNOWN


def _cutout(rng: np.random.Generator, shot: Shot, side: int) -> tuple[np.ndarray, np.ndarray] | None:
    """An object of a photo and its mask (0…255), a sixteenth to three fifths of `side` long; None if it has none that
    is large enough."""
    numbers = seen(shot.objects, PASTED_FROM)
    if len(numbers) == 0:
        return None
    mask = (shot.objects == numbers[int(rng.integers(len(numbers)))]).astype(np.uint8) * 255
    x, y, width, height = cv2.boundingRect(mask)
    scale = float(np.exp(rng.uniform(np.log(0.06), np.log(0.6)))) * side / max(width, height)
    mirror = 1 if rng.random() < 0.5 else -1
    if scale > 1.8:
        return None
    size = max(6, int(width * scale)), max(6, int(height * scale))
    box = np.s_[y : y + height, x : x + width]
    rgb, mask = (np.ascontiguousarray(pixels[box][:, ::mirror]) for pixels in (shot.rgb, mask))
    return cv2.resize(rgb, size, interpolation=_filter(scale)), cv2.resize(mask, size, interpolation=_filter(scale))


def recoloured(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Other contrast, brightness and tint; sometimes grey, blurred or noisy."""
    x = rgb.astype(np.float32)
    if rng.random() < 0.7:
        x = (x - 127) * rng.uniform(0.7, 1.25) + 127 + rng.normal(0, 12)
        x = x * (1 + rng.normal(0, 0.05, 3))
    if rng.random() < 0.08:
        x = np.repeat(x.mean(-1, keepdims=True), 3, -1)
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.2:
        x = x + rng.standard_normal(x.shape, np.float32) * rng.uniform(0, 8)
    return np.clip(x, 0, 255).astype(np.uint8)


def seen(objects: np.ndarray, smallest: int) -> np.ndarray:
    """The numbers of a map with at least `smallest` pixels."""
    numbers, counts = np.unique(objects[objects > 0], return_counts=True)
    return numbers[counts >= smallest]


def _filter(scale: float) -> int:
    return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
