"""A set of photographs of a few pixels, and its manifest."""
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinysam_training.album import manifest

SOURCES = {
    "things": {"kind": "objects", "exhaustive": False, "share": 1.0, "parts": False},
    "wholes": {"kind": "objects", "exhaustive": True, "share": 1.0, "parts": True},
    "cut": {"kind": "cutout", "exhaustive": False, "share": 1.0, "parts": False},
    "behind": {"kind": "background", "exhaustive": False, "share": 1.0, "parts": False},
}


def objects_map(size: int, *boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """u8 `[size, size]`; boxes are value, left, top, right, bottom."""
    drawn = np.zeros((size, size), np.uint8)
    for value, x0, y0, x1, y1 in boxes:
        drawn[y0:y1, x0:x1] = value
    return drawn


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory) -> Path:
    """The folder: `photos.json` lies in it."""
    folder = tmp_path_factory.mktemp("set")
    whole, part = objects_map(120, (1, 20, 20, 100, 100)), objects_map(120, (1, 30, 30, 60, 60))
    maps = {
        "a": ("things", "train", objects_map(120, (3, 10, 20, 60, 90), (7, 70, 30, 110, 80)), None),
        "b": ("wholes", "train", whole, part),
        "c": ("cut", "train", objects_map(120, (1, 5, 5, 115, 115)), None),
        "d": ("behind", "train", None, None),
        "e": ("things", "val", objects_map(120, (1, 20, 20, 90, 90)), None),
    }
    rng, photos = np.random.default_rng(0), []
    for name, (source, split, label, parts) in maps.items():
        digest = hashlib.sha256()
        rgb = rng.integers(0, 60, (120, 120, 3)).astype(np.uint8)
        if label is not None:
            rgb[label > 0] += 120
        for kind, suffix, pixels in (("images", ".jpg", rgb), ("labels", ".png", label), ("parts", ".png", parts)):
            if pixels is not None:
                path = folder / "open" / kind / f"{name}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
                digest.update(path.read_bytes())
        photos.append(
            {"id": name, "source": source, "image": f"open/images/{name}.jpg", "split": split, "sha256": digest.hexdigest()}
        )
    (folder / "photos.json").write_text(json.dumps({"sources": SOURCES, "photos": photos}))
    return folder


@pytest.fixture
def small_manifest(photo_set, monkeypatch) -> Path:
    """The set, whose manifest stands in the project's place."""
    monkeypatch.setattr(manifest, "MANIFEST", photo_set / "photos.json")
    return photo_set
