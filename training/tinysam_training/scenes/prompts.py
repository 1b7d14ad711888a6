"""Prompts for a scene, and what each of them means."""
import cv2
import numpy as np

from .scene import Scene, scene

PAD = (124, 116, 104)
"""RGB of the padding: the mean, which is zero once normalised."""


def sample(rng: np.random.Generator, side: int, prompts: int, easy: float = 0.0, plain: float = 0.0):
    """A scene and its prompts, as `batch.Batch` holds them (without the batch's axis).

    `easy` 1: few and large objects, whole ones only; 0: everything, parts and groups too. `plain`: the share of plain
    scenes.
    """
    while True:
        flat = plain > 0 and rng.random() < plain
        made = scene(rng, side, 3 if easy > 0 else 4, int(22 - 13 * easy), flat)
        _letterbox(rng, made)
        smallest = max(24, int((0.0025 + 0.0075 * easy) * side * side))
        seen = np.bincount(made.objects.ravel(), minlength=len(made.full) + 1)
        shown = [n for n, full in made.full.items() if seen[n] >= smallest and seen[n] >= 0.2 * full]
        if len(shown) >= 2:
            break
    of_part = np.bincount(made.parts.ravel(), minlength=len(made.owner) + 1)
    parts = [
        part
        for part, owner in made.owner.items()
        if owner in shown and smallest <= of_part[part] < 0.8 * seen[owner]
    ]
    weights = seen[shown] ** 0.5
    masks, coords, labels = [], [], []
    for _ in range(prompts):
        kind = rng.random() / (1 - easy) if easy < 1 else 1.0
        if kind < 0.18 and parts:
            mask = made.parts == parts[int(rng.integers(len(parts)))]
        elif 0.18 <= kind < 0.23 and made.groups:
            mask = np.isin(made.objects, made.groups[int(rng.integers(len(made.groups)))])
        else:
            mask = made.objects == shown[int(rng.choice(len(shown), p=weights / weights.sum()))]
        if mask.sum() < 16:
            mask = made.objects == shown[0]
        mask = mask.astype(np.uint8)
        at, label = box(rng, mask) if rng.random() < 0.5 else _point(rng, mask)
        masks.append(cv2.resize(mask * 255, (side // 2, side // 2), interpolation=cv2.INTER_AREA))
        coords.append(at)
        labels.append(label)
    pixels = np.ascontiguousarray(made.rgb.transpose(2, 0, 1))
    objects = np.ascontiguousarray(made.objects[2::4, 2::4])
    return pixels, np.stack(masks), np.stack(coords), np.array(labels, np.int64), objects


def _letterbox(rng: np.random.Generator, made: Scene) -> None:
    """Three pictures of four are not square: the rest of the input is padding."""
    if rng.random() < 0.75:
        kept = int(len(made.rgb) * rng.uniform(0.55, 1))
        rest = np.s_[:, kept:] if rng.random() < 0.25 else np.s_[kept:]
        made.rgb[rest], made.objects[rest], made.parts[rest] = PAD, 0, 0


def box(rng: np.random.Generator, mask: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The mask's box, three times of four as a hand would draw it."""
    side = len(mask)
    left, top, width, height = cv2.boundingRect(mask)
    corners = np.array([[left, top], [left + width, top + height]], np.float64)
    if rng.random() < 0.75:
        corners += np.clip(rng.normal(0, 0.05, (2, 2)) * [width, height], -0.02 * side, 0.02 * side)
    return np.clip(corners, 0, side).astype(np.float32), [2, 3]


def _point(rng: np.random.Generator, mask: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Deep inside, about as deep, or anywhere."""
    kind = rng.random()
    if kind < 0.5:
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        if kind < 0.25:
            depth = depth * (1 + 0.15 * rng.random(depth.shape, np.float32))
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        ys, xs = np.nonzero(mask)
        i = int(rng.integers(len(ys)))
        y, x = ys[i], xs[i]
    return np.array([[x, y], [0, 0]], np.float32), [1, -1]
