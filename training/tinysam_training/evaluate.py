"""How good masks are: mean IoU of boxes and of clicks, on held-out scenes and on photos with polygons.

Each is told twice: of the best of the three masks, as if someone chose, and of the one with the best predicted score,
which is what a user gets. Beside them stands what needs no model: the box filled, and the ellipse inscribed in it.
"""
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import photos
from .frame import Frame
from .golden import tokens_of
from .losses import mask_loss
from .model import TinySam
from .scenes import sample

HELD_OUT = 1 << 31
"""The seed of the held-out scenes; runs' seeds are smaller."""


class Tally:
    """Means by name."""

    def __init__(self):
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, values) -> None:
        self.values.setdefault(name, []).extend(float(value) for value in values)

    def means(self) -> dict[str, float]:
        means = {name: round(float(np.mean(values)), 4) for name, values in self.values.items()}
        return means | {"boxes": len(self.values.get("box", [])), "points": len(self.values.get("point", []))}


def plain(corners: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The box filled and the inscribed ellipse, bool `[height, width]`; corners xyxy."""
    x0, y0, x1, y1 = corners
    y, x = np.mgrid[0:height, 0:width] + 0.5
    across, down = (2 * x - x0 - x1) / max(x1 - x0, 1e-6), (2 * y - y0 - y1) / max(y1 - y0, 1e-6)
    return (abs(across) <= 1) & (abs(down) <= 1), across**2 + down**2 <= 1


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@torch.no_grad()
def on_scenes(model: TinySam, side: int, count: int = 100, prompts: int = 12, easy: float = 0.0) -> dict[str, float]:
    """On `count` scenes that no run trains on; at half the input's resolution, as in training."""
    tally = Tally()
    for i in range(count):
        pixels, masks, coords, labels, _ = sample(np.random.default_rng([HELD_OUT, i]), side, prompts, easy)
        coords, labels, truth = torch.from_numpy(coords), torch.from_numpy(labels), torch.from_numpy(masks) / 255
        logits, scores = model.decode(model.encode(torch.from_numpy(pixels)[None]), coords, labels)
        boxes = labels[:, 0] == 2
        outcome = mask_loss(logits, scores, truth, 0.0, boxes)
        for name, which in (("box", boxes), ("point", ~boxes)):
            tally.add(name, outcome.of_chosen()[which])
            tally.add(f"{name}_best_of_three", outcome.iou.amax(1)[which])
        for corners, mask in zip(coords[boxes].flatten(1).numpy() / 2, masks[boxes.numpy()] > 127):
            for name, guess in zip(("filled_box", "ellipse"), plain(corners, *mask.shape)):
                tally.add(name, [iou(guess, mask)])
    return tally.means()


@torch.no_grad()
def on_photos(model: TinySam, side: int, folder: Path) -> dict[str, float]:
    """On every labelled object of a folder (`photos.read`), at the photos' resolution: one tight box, and one click
    at the deepest point."""
    tally = Tally()
    for photo in photos.read(folder):
        height, width = photo.rgb.shape[:2]
        frame = Frame((width, height), side)
        embedding = model.encode(frame.input(photo.rgb))
        for mask in photo.masks:
            corners, point = photos.box(mask), photos.deepest(mask)
            for name, prompt in (("box", {"box": corners}), ("point", {"points": [point], "labels": [1]})):
                logits, scores = model.decode(embedding, *tokens_of(frame, **prompt))
                each = [iou(ours, mask) for ours in (frame.upscale(logits)[0] > 0).numpy()]
                tally.add(name, [each[int(scores.argmax())]])
                tally.add(f"{name}_best_of_three", [max(each)])
            for name, guess in zip(("filled_box", "ellipse"), plain(np.array(corners), height, width)):
                tally.add(name, [iou(guess, mask)])
    return tally.means()


@torch.no_grad()
def agreement(a: TinySam, b: TinySam, side: int, folder: Path | None, count: int = 20) -> float:
    """Mean IoU between two models' chosen masks, on a folder's photos or on `count` held-out scenes: what rounding
    costs, say."""
    tally = Tally()
    for pixels, coords, labels in _photo_prompts(side, folder) if folder else _scene_prompts(side, count):
        for ours, theirs in zip(*(_chosen(model, pixels, coords, labels) for model in (a, b))):
            if ours.any() or theirs.any():
                tally.add("agreement", [iou(ours, theirs)])
    return tally.means()["agreement"]


def _scene_prompts(side: int, count: int):
    for i in range(count):
        pixels, _, coords, labels, _ = sample(np.random.default_rng([HELD_OUT, i]), side, 12)
        yield torch.from_numpy(pixels)[None], torch.from_numpy(coords), torch.from_numpy(labels)


def _photo_prompts(side: int, folder: Path):
    for photo in photos.read(folder):
        frame = Frame(photo.rgb.shape[1::-1], side)
        prompts = [{"box": photos.box(mask)} for mask in photo.masks]
        prompts += [{"points": [photos.deepest(mask)], "labels": [1]} for mask in photo.masks]
        if prompts:
            tokens = [tokens_of(frame, **prompt) for prompt in prompts]
            yield frame.input(photo.rgb), *(torch.cat(part) for part in zip(*tokens))


def _chosen(model: TinySam, pixels: Tensor, coords: Tensor, labels: Tensor) -> np.ndarray:
    logits, scores = model.decode(model.encode(pixels), coords, labels)
    return (logits[torch.arange(len(logits)), scores.argmax(1)] > 0).numpy()
