"""Endless batches, each a pure function of a seed and a number."""
import signal

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .album import Album
from .album import sample as sample_photo
from .batch import Batch
from .curriculum import Stage
from .scenes import sample as sample_scene


class Pictures(Dataset):
    """Batch i of a run that began at `first`: scenes, and photographs if the stage has any. The generator's seed is
    (seed, i), whatever worker makes it."""

    def __init__(self, stage: Stage, seed: int, first: int, album: Album | None):
        self.stage, self.seed, self.first, self.album = stage, seed, first, album

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, i: int) -> Batch:
        if i == 0:
            torch.set_num_threads(1)
            cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, self.first + i])
        made = [self.picture(rng) for _ in range(self.stage.batch)]
        return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*made)))

    def picture(self, rng: np.random.Generator):
        stage = self.stage
        if self.album is not None and rng.random() < stage.photos:
            return sample_photo(rng, self.album, stage.side, stage.prompts)
        return sample_scene(rng, stage.side, stage.prompts, stage.easy, stage.plain)


class InOrder(torch.utils.data.Sampler):
    """0, 1, 2, … without a list of them."""

    def __iter__(self):
        i = 0
        while True:
            yield i
            i += 1


def _stay(worker: int) -> None:
    """A signal is often sent to all processes of a run. It is the run that ends then, after its step, and a worker that
    is gone before fails that step."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def pictures(stage: Stage, seed: int, first: int, workers: int, album: Album | None = None):
    """Batches from batch number `first` on, made by `workers` processes. Photographs are the album's."""
    data = Pictures(stage, seed, first, album)
    ahead = 2 if workers else None
    loader = DataLoader(data, None, sampler=InOrder(), num_workers=workers, prefetch_factor=ahead, worker_init_fn=_stay)
    return iter(loader)


def shapes(stage: Stage, seed: int, first: int):
    """For the decoder's warm-up: a box means its inscribed ellipse, a point a disc around it."""
    side, n = stage.side, stage.prompts
    place = torch.arange(side // 2) * 2 + 0.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    for step in range(first, 1 << 40):
        rng = torch.Generator().manual_seed((seed << 40) + step)
        centre = torch.rand(n, 2, generator=rng) * side
        half = torch.rand(n, 2, generator=rng) * side * 0.3 + side * 0.045
        low, high = (centre - half).clamp(0, side), (centre + half).clamp(0, side)
        point = torch.arange(n) % 4 == 0
        low[point], high[point] = centre[point] - side * 0.13, centre[point] + side * 0.13
        middle, half = (low + high) / 2, (high - low) / 2
        away = ((x - middle[:, 0, None, None]) / half[:, 0, None, None]) ** 2
        away = away + ((y - middle[:, 1, None, None]) / half[:, 1, None, None]) ** 2
        coords = torch.stack([torch.where(point[:, None], centre, low), torch.where(point[:, None], 0, high)], 1)
        labels = torch.where(point[:, None], torch.tensor([[1, -1]]), torch.tensor([[2, 3]]))
        nothing = torch.zeros(1, 1, dtype=torch.uint8)
        yield Batch(nothing, (away <= 1).to(torch.uint8)[None] * 255, coords[None], labels[None], nothing)
