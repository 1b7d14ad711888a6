"""One archive that trains elsewhere, on a machine with a GPU and no network, and the weights back from it in pieces.

The archive holds the code, the set's photographs made smaller, a checkpoint to begin with, and `train.sh`.
"""
import hashlib
import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
from safetensors.torch import save

from .album import Entry, entries
from .export import export, open_weights, rounded

ROOT = "tinysam-training"
"""The archive's one folder."""
LIMIT = 60 * 2**20
"""Bytes of an archive."""
LONGEST = 384
"""Of a packed photo's sides, pixels."""
QUALITY = 65
"""Of its JPEG."""
PIECE = 15 * 2**20
"""Bytes of a piece at most."""

COMMAND = """#!/bin/sh
# sh train.sh MINUTES LIMIT OUT [OPTIONS]: trains until the run is MINUTES old in all, for LIMIT minutes at most in this
# call, then writes the weights to OUT in pieces. The same line again continues. OPTIONS are added to those of
# `python3 -m tinysam_training run`: --device cpu --curriculum photos where there is no GPU.
set -e
mkdir -p "$3"
out=$(cd "$3" && pwd)
minutes=$1 limit=$2
shift 3
cd "$(dirname "$0")"
timeout --signal TERM "${limit}m" python3 -m tinysam_training run --minutes "$minutes" --curriculum photos-gpu \\
    --device cuda --photos photos --weights start.safetensors --out run "$@" || [ $? = 124 ]
python3 -m tinysam_training pieces run/run.pt "$out"
"""


def pack(to: Path, photos: Path, weights: Path) -> int:
    """Writes the archive, a .tar.gz; returns its bytes. The checkpoint is rounded to int8, the photos keep their names."""
    with tarfile.open(to, "w:gz") as archive:

        def add(name: str, data: bytes) -> None:
            told = tarfile.TarInfo(f"{ROOT}/{name}")
            told.size, told.mode = len(data), 0o644
            archive.addfile(told, io.BytesIO(data))

        package = Path(__file__).parent
        for path in sorted(package.rglob("*")):
            if path.suffix in (".py", ".json"):
                add(f"{package.name}/{path.relative_to(package)}", path.read_bytes())
        add("train.sh", COMMAND.encode())
        add("start.safetensors", save(rounded(open_weights(weights).state_dict(), "int8")))
        for entry in entries("train"):
            for name, data in _smaller(photos, entry):
                add(f"photos/{name}", data)
    size = to.stat().st_size
    if size > LIMIT:
        to.unlink()
        raise ValueError(f"the archive would take {size / 2**20:.1f} MiB, more than {LIMIT // 2**20}: pack fewer photos")
    return size


def _smaller(folder: Path, entry: Entry):
    """Names and bytes of a photo's files, none of whose sides is longer than `LONGEST`."""
    for name in entry.files:
        photo = name == entry.image
        pixels = cv2.imdecode(
            np.frombuffer((folder / name).read_bytes(), np.uint8), cv2.IMREAD_COLOR if photo else cv2.IMREAD_GRAYSCALE
        )
        scale = min(1.0, LONGEST / max(pixels.shape[:2]))
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        if photo:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            yield name, cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        else:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
            yield name, cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def split(run: Path, folder: Path) -> list[Path]:
    """A run's moving average as f16, in pieces, and `pieces.json` with what they must hash to together."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("weights.*"):
        old.unlink()
    whole = folder / "weights.safetensors"
    export(run, whole, {}, "f16")
    data = whole.read_bytes()
    whole.unlink()
    names = [f"weights.{i:02}" for i in range(-(-len(data) // PIECE))]
    for i, name in enumerate(names):
        (folder / name).write_bytes(data[i * PIECE : (i + 1) * PIECE])
    told = {"pieces": names, "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "pieces.json").write_text(json.dumps(told, indent=1) + "\n")
    return [folder / name for name in names]


def join(folder: Path, to: Path) -> None:
    """The pieces of a folder → the checkpoint, a .safetensors."""
    told = json.loads((folder / "pieces.json").read_text())
    data = b"".join((folder / name).read_bytes() for name in told["pieces"])
    if hashlib.sha256(data).hexdigest() != told["sha256"]:
        raise ValueError(f"the pieces in {folder} are not of one checkpoint: fetch all of them again")
    to.write_bytes(data)
