"""What a set of photographs holds: for each photo its files, where it came from, its licence, and a hash."""
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("photos.json")


@dataclass(frozen=True)
class Entry:
    """A photo of the set. Paths are relative to the set's folder."""

    id: str
    source: str
    """A key of the manifest's `sources`."""
    image: str
    """JPEG; its longer side at most 512 pixels."""
    label: str | None
    """8-bit PNG of the photo's size: the object at each pixel, 0 for none, 255 for void. None: nothing is labelled."""
    parts: str | None
    """A second such map: parts of the objects."""
    kind: str
    """`objects`: a scene; `cutout`: one thing on white, to be pasted; `background`: nothing is labelled."""
    exhaustive: bool
    """Every object is in the map. Otherwise 0 means unknown."""
    share: float
    """How often one of the source's photos is drawn, compared with others."""
    split: str
    """`train` or `val`."""
    sha256: str
    """Of the bytes of image, label and parts, one after another."""

    @property
    def files(self) -> list[str]:
        return [name for name in (self.image, self.label, self.parts) if name]


def entries(split: str) -> list[Entry]:
    """The photos of a split, in the manifest's order."""
    told = json.loads(MANIFEST.read_text())
    return [entry for entry in (_entry(told["sources"], photo) for photo in told["photos"]) if entry.split == split]


def _entry(sources: dict, photo: dict) -> Entry:
    source = sources[photo["source"]]

    def map_in(folder: str) -> str:
        return str(Path(photo["image"].replace("/images/", f"/{folder}/")).with_suffix(".png"))

    return Entry(
        photo["id"], photo["source"], photo["image"],
        map_in("labels") if source["kind"] != "background" else None,
        map_in("parts") if source["parts"] else None,
        source["kind"], source["exhaustive"], source["share"], photo.get("split", "train"), photo["sha256"],
    )  # fmt: skip


def faults(folder: Path, held: list[Entry]) -> list[str]:
    """What of these photos is missing in a folder or differs from the manifest, a sentence each."""
    told = []
    for entry in held:
        missing = [name for name in entry.files if not (folder / name).is_file()]
        if missing:
            told.append(f"{entry.id} ({entry.source}): {', '.join(missing)} missing")
        elif hashlib.sha256(b"".join((folder / name).read_bytes() for name in entry.files)).hexdigest() != entry.sha256:
            told.append(f"{entry.id} ({entry.source}): other bytes than the manifest's")
    return told
