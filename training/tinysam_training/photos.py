"""Photos with polygon labels: a folder with LabelMe's file beside each photo, or with one COCO file for all."""
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .frame import open_rgb


@dataclass
class Photo:
    rgb: np.ndarray
    """u8 `[height, width, 3]`."""
    masks: list[np.ndarray]
    """bool `[height, width]`, one an object; empty ones are left out."""


def read(folder: Path) -> Iterator[Photo]:
    """All labelled photos of a folder, by name. A COCO file (`annotations` with polygons) describes photos by
    `file_name`; a LabelMe file (`shapes`) by `imagePath`, and joins shapes of one `group_id` and label."""
    found = False
    for path in sorted(folder.glob("*.json")):
        labels = json.loads(path.read_text())
        if "annotations" in labels:
            for image in labels["images"]:
                drawn = [a for a in labels["annotations"] if a["image_id"] == image["id"]]
                drawn = [a["segmentation"] for a in drawn if isinstance(a.get("segmentation"), list)]
                found = True
                yield _photo(folder / image["file_name"], [[np.reshape(p, (-1, 2)) for p in s] for s in drawn])
        elif "shapes" in labels:
            found = True
            yield _photo(folder / labels["imagePath"], _grouped(labels["shapes"]))
    if not found:
        raise ValueError(f"no LabelMe or COCO labels in {folder}: put a .json file beside the photos")


def _grouped(shapes: list[dict]) -> list[list[np.ndarray]]:
    objects: dict = {}
    for i, shape in enumerate(shapes):
        if shape.get("shape_type", "polygon") == "polygon":
            group = shape.get("group_id")
            key = i if group is None else (shape.get("label"), group)
            objects.setdefault(key, []).append(np.array(shape["points"], np.float64))
    return list(objects.values())


def _photo(path: Path, objects: list[list[np.ndarray]]) -> Photo:
    rgb, masks = open_rgb(path), []
    for polygons in objects:
        mask = np.zeros(rgb.shape[:2], np.uint8)
        for points in polygons:
            cv2.fillPoly(mask, [np.round((points - 0.5) * 16).astype(np.int32)], 1, shift=4)
        if mask.any():
            masks.append(mask > 0)
    return Photo(rgb, masks)


def box(mask: np.ndarray) -> list[float]:
    """The tight box, xyxy."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return [left, top, left + width, top + height]


def deepest(mask: np.ndarray) -> list[float]:
    """The point farthest from the mask's edge."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return [int(x), int(y)]
