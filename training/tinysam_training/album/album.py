"""The photos of a set, in memory as the bytes of their files, and drawn by chance."""
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .manifest import Entry

UNKNOWN = -1
"""In a map: some object or none, nobody says."""
VOID = 255
MANY = 8
"""Objects of a photo; more do not make it likelier."""
BORDER = 4
"""Pixels: a void band of twice this width, as VOC draws around its objects, is a border and no region."""


@dataclass
class Shot:
    """A photo and its maps."""

    rgb: np.ndarray
    """u8 `[height, width, 3]`."""
    objects: np.ndarray
    """i32 `[height, width]`: the visible object, 0 for none, or `UNKNOWN`."""
    parts: np.ndarray | None
    """The same of parts."""


class Album:
    """Photos to draw from."""

    def __init__(self, folder: Path, held: list[Entry]):
        if not held:
            raise ValueError("the manifest names no photo to train on")
        self.entries = held
        try:
            self.files = [{name: (folder / name).read_bytes() for name in entry.files} for entry in held]
        except FileNotFoundError as missing:
            raise ValueError(
                f"{missing.filename} is missing: `python -m tinysam_training photos {folder}` lists what the set lacks"
            ) from missing
        scenes = [
            entry.share * _objects(entry, files) * (entry.kind != "cutout")
            for entry, files in zip(held, self.files, strict=True)
        ]
        labelled = [entry.share * (entry.kind != "background") for entry in held]
        self._scenes, self._labelled = _cumulated(scenes), _cumulated(labelled)

    def scene(self, rng: np.random.Generator) -> Shot:
        """A photo that may stand alone: not a cutout. Of two, the one with twice the objects comes twice as often, up to
        `MANY`: it is objects that are pointed at, most of which are small and stand in crowded photos."""
        return self._draw(rng, self._scenes)

    def labelled(self, rng: np.random.Generator) -> Shot:
        """A photo with objects to paste elsewhere: not a background."""
        return self._draw(rng, self._labelled)

    def _draw(self, rng: np.random.Generator, cumulated: np.ndarray) -> Shot:
        number = int(np.searchsorted(cumulated, rng.random(), side="right"))
        entry, files = self.entries[number], self.files[number]
        bgr = cv2.imdecode(np.frombuffer(files[entry.image], np.uint8), cv2.IMREAD_COLOR)
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if entry.label is None:
            return Shot(rgb, np.full(rgb.shape[:2], UNKNOWN, np.int32), None)
        parts = None if entry.parts is None else _map(files[entry.parts], exhaustive=False)
        return Shot(rgb, _map(files[entry.label], entry.exhaustive), parts)


def _objects(entry: Entry, files: dict[str, bytes]) -> int:
    """How many objects a photo's map shows, from 1 to `MANY`."""
    if entry.label is None:
        return 1
    numbers = np.unique(cv2.imdecode(np.frombuffer(files[entry.label], np.uint8), cv2.IMREAD_GRAYSCALE))
    return int(np.clip(((numbers > 0) & (numbers < VOID)).sum(), 1, MANY))


def _cumulated(weights: list[float]) -> np.ndarray:
    """For `searchsorted` with a number in [0, 1); what weighs nothing is never drawn."""
    summed = np.cumsum(np.array(weights, np.float64))
    if summed[-1] == 0:
        raise ValueError("a set needs photos with objects: the manifest names none to train on")
    return summed / summed[-1]


def _map(png: bytes, exhaustive: bool) -> np.ndarray:
    """A label map's file → objects. Borders go half to either side."""
    raw = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    objects, void = raw.astype(np.int32), raw == VOID
    if void.all():
        objects[:] = UNKNOWN
    elif void.any():
        far, nearest = cv2.distanceTransformWithLabels(
            void.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_nearest = np.zeros(nearest.max() + 1, np.int32)
        of_nearest[nearest[~void]] = objects[~void]
        objects = np.where(void, np.where(far <= BORDER, of_nearest[nearest], UNKNOWN), objects)
    if not exhaustive:
        objects[objects == 0] = UNKNOWN
    return objects
