"""Which scenes, sizes and learning rates when. What was learned in choosing them is in the README."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A part of a run. Pairs go from the first value to the second, linearly over the stage."""

    name: str
    share: float
    """Of the run's time."""
    side: int
    batch: int
    prompts: int
    """Per image."""
    rate: tuple[float, float]
    """Learning rate; warmed up over the first steps of the run's first stages."""
    easy: float = 0.0
    """1: few and large objects, no parts or groups; 0: everything."""
    plain: float = 0.0
    """Share of plain scenes: single colours, no light, no camera."""
    photos: float = 0.0
    """Share of photographs among the images, instead of scenes."""
    balanced: tuple[float, float] = (0.0, 0.0)
    """See `losses.mask_loss`."""
    affinity: tuple[float, float] = (1.0, 1.0)
    """Weight of `losses.Affinity`."""
    correction: float = 0.0
    """Share of steps with a second pass: the first one's logits and a click where it errs."""
    encoder: bool = True
    """Without: the decoder alone, on random embeddings and plain shapes."""

    def at(self, name: str, part: float) -> float:
        """The pair `name` at `part` of the stage."""
        start, end = getattr(self, name)
        return start + (end - start) * part


CURRICULA = {
    # One or two slow cores: some ten thousand images. Plain scenes first, in which a click can be understood.
    "cpu": (
        Stage("warm-up", 0.03, 112, 1, 32, (1e-3, 3e-4), balanced=(1.0, 0.5), encoder=False),
        Stage("plain", 0.37, 224, 4, 10, (4e-4, 4e-4), easy=1.0, plain=0.9, balanced=(1.0, 0.1), correction=0.05),
        Stage("half plain", 0.25, 224, 4, 10, (4e-4, 4e-4), easy=0.8, plain=0.5, balanced=(0.1, 0.0), correction=0.05),
        Stage("full", 0.20, 224, 4, 10, (4e-4, 3e-4), easy=0.4, plain=0.2, correction=0.1),
        Stage("last", 0.15, 224, 4, 10, (3e-4, 0.0), easy=0.2, plain=0.1, affinity=(1.0, 0.4), correction=0.1),
    ),
    # One large GPU in bf16.
    "gpu": (
        Stage("warm-up", 0.02, 224, 1, 64, (1e-3, 3e-4), balanced=(1.0, 0.5), encoder=False),
        Stage("first", 0.20, 224, 128, 12, (5e-4, 5e-4), easy=0.7, plain=0.5, balanced=(0.5, 0.0)),
        Stage("full", 0.28, 224, 128, 12, (5e-4, 3e-4), correction=0.2),
        Stage("large", 0.31, 448, 48, 12, (3e-4, 1e-4), affinity=(1.0, 0.5), correction=0.3),
        Stage("native", 0.19, 1024, 12, 8, (1e-4, 1e-6), affinity=(0.5, 0.2), correction=0.3),
    ),
    # On from a checkpoint, with photographs: one or two slow cores.
    "photos": (
        Stage(
            "photos", 0.50, 224, 8, 8, (2.5e-4, 1.6e-4), easy=0.2, plain=0.1, photos=0.9, affinity=(0.7, 0.7),
            correction=0.12,
        ),
        Stage(
            "large", 0.50, 320, 6, 8, (1.6e-4, 0.0), easy=0.2, plain=0.1, photos=0.9, affinity=(0.7, 0.4),
            correction=0.12,
        ),
    ),
    # The same on one large GPU in bf16.
    "photos-gpu": (
        Stage("photos", 0.60, 224, 96, 12, (5e-4, 3e-4), photos=0.9, affinity=(1.0, 0.7), correction=0.2),
        Stage("large", 0.25, 320, 48, 12, (3e-4, 1e-4), photos=0.9, affinity=(0.7, 0.5), correction=0.2),
        Stage("larger", 0.15, 448, 32, 12, (1e-4, 1e-6), photos=0.9, affinity=(0.5, 0.2), correction=0.2),
    ),
    # Seconds, for tests.
    "tiny": (
        Stage("warm-up", 0.3, 64, 1, 4, (1e-3, 3e-4), balanced=(1.0, 0.5), encoder=False),
        Stage("first", 0.3, 64, 2, 3, (5e-4, 5e-4), easy=1.0, balanced=(1.0, 0.0)),
        Stage("last", 0.4, 96, 2, 3, (5e-4, 0.0), correction=1.0),
    ),
    "tiny-photos": (Stage("photos", 1.0, 64, 2, 3, (5e-4, 0.0), photos=0.5, correction=1.0),),
}


def takes_photos(curriculum: str) -> bool:
    """Does it take photographs?"""
    return any(stage.photos > 0 for stage in CURRICULA[curriculum])


def locate(stages: tuple[Stage, ...], fraction: float) -> tuple[int, float]:
    """Which stage a run is in at `fraction` of its time, and how far into it."""
    start = 0.0
    for i, stage in enumerate(stages):
        if fraction < start + stage.share or i == len(stages) - 1:
            return i, min(1.0, max(0.0, (fraction - start) / stage.share))
        start += stage.share
    raise ValueError("a curriculum has stages")
