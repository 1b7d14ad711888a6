"""Everything in a picture, hierarchically, for the Rust engine to be compared with (arXiv 2312.13789, section 3.3).

The order of points, filters and masks is the reference's (tinysam/hierarchical_mask_generator.py of xinghaochen/TinySAM),
with three differences that the engine has, too: masks are in the order of their predicted IoU again after small regions
were removed, one of no pixels is left out, and a picture may have no second round.
"""
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from .formula import sha256
from .frame import Frame
from .golden import tokens_of
from .model import TinySam


@dataclass(frozen=True)
class Config:
    """The generator's settings; the defaults are the paper's."""

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    high_score_thresh: float = 8.5
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    min_mask_region_area: int = 0


CROP_NMS_THRESH = 0.7
"""The reference's: masks whose small regions were removed are compared under no lower threshold."""


@dataclass
class Mask:
    pixels: np.ndarray
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    edited: bool = False

    def box(self) -> np.ndarray:
        """xyxy, to the last column and row: one pixel short, as the reference has it (`batched_mask_to_box`)."""
        rows, columns = np.flatnonzero(self.pixels.any(1)), np.flatnonzero(self.pixels.any(0))
        corners = [columns[0], rows[0], columns[-1], rows[-1]] if len(rows) else [0, 0, 0, 0]
        return np.array(corners, np.float32)


class Nearest:
    """How near the run came to another outcome: the least distance of any number from the threshold that it met. A
    golden is worth something where rounding cannot cross one."""

    def __init__(self):
        self.distances: dict[str, float] = {}

    def see(self, what: str, value: float, threshold: float) -> None:
        self.distances[what] = min(self.distances.get(what, np.inf), abs(float(value) - threshold))


@torch.no_grad()
def everything(model: TinySam, rgb: np.ndarray, side: int, config: Config) -> tuple[list[Mask], list[int], Nearest]:
    """The masks, how many points each call of the decoder had, and how near it was."""
    frame, nearest = Frame((rgb.shape[1], rgb.shape[0]), side), Nearest()
    embedding = model.encode(frame.input(rgb))
    coarse, confident, calls = coarse_grid(frame, config), np.zeros(rgb.shape[:2], bool), []
    first = found(model, frame, embedding, coarse, config, calls, nearest, confident)
    second = found(model, frame, embedding, fine_points(frame, config, coarse, confident), config, calls, nearest, None)
    masks = second + first
    masks = [masks[i] for i in nms(masks, [mask.predicted_iou for mask in masks], config.box_nms_thresh, nearest)]
    if config.min_mask_region_area > 0:
        masks = tidied(masks, config, nearest)
    return masks, calls, nearest


def coarse_grid(frame: Frame, config: Config) -> np.ndarray:
    """Centres of cells, a quarter as many along each side as the full grid has, row by row."""
    count = config.points_per_side // 4
    centres = (np.arange(count) + 0.5) / count
    x, y = np.meshgrid(centres, centres)
    return np.stack([x, y], -1).reshape(-1, 2) * frame.original


def fine_points(frame: Frame, config: Config, coarse: np.ndarray, confident: np.ndarray) -> np.ndarray:
    """Around each coarse point those of the full grid outside the confident area. A stride is of whole pixels."""
    width, height = frame.original
    across, down = width // config.points_per_side, height // config.points_per_side
    square = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    offsets = square + [(2, j) for j in (-1, 0, 1)] + [(i, 2) for i in (-1, 0, 1)] + [(2, 2)]
    points = []
    for x, y in coarse:
        for i, j in offsets:
            beside = x + across * i, y + down * j
            inside = beside[0] < width and beside[1] < height
            if inside and not confident[int(beside[1]), int(beside[0])]:
                points.append(beside)
    return np.array(points).reshape(-1, 2)


def found(model, frame, embedding, points, config, calls, nearest, confident) -> list[Mask]:
    """The masks of single points that pass the filters; those of the first round add to the confident area."""
    masks, offset = [], config.stability_score_offset
    for start in range(0, len(points), config.points_per_batch):
        batch = points[start : start + config.points_per_batch]
        calls.append(len(batch))
        for point in batch:
            coords, labels = tokens_of(frame, [point], [1])
            low_res, scores = model.decode(embedding, coords, labels)
            for score, logits in zip(scores[0], frame.upscale(low_res)[0]):
                nearest.see("pred_iou_thresh", score, config.pred_iou_thresh)
                if not score > config.pred_iou_thresh:
                    continue
                stability = float((logits > offset).sum() / (logits > -offset).sum())
                nearest.see("stability_score_thresh", stability, config.stability_score_thresh)
                if not stability >= config.stability_score_thresh:
                    continue
                if confident is not None:
                    confident |= (logits > config.high_score_thresh).numpy()
                masks.append(Mask((logits > 0).numpy(), float(score), stability, tuple(map(float, point))))
    return masks


def nms(masks: list[Mask], scores: list[float], threshold: float, nearest: Nearest) -> list[int]:
    """Of masks whose boxes overlap over `threshold`, that of the highest score; in the order of the scores."""
    boxes = [mask.box() for mask in masks]
    left, kept = sorted(range(len(masks)), key=lambda i: -scores[i]), []
    while left:
        best, *others = left
        kept.append(best)
        overlaps = {other: overlap(boxes[best], boxes[other]) for other in others}
        for value in overlaps.values():
            nearest.see("box_nms_thresh", value, threshold)
        left = [other for other in others if not overlaps[other] > threshold]
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes, 0 where neither has an area."""
    width, height = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    areas = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b))
    both = float(width * height)
    return both / (areas - both) if areas > both else 0.0


def tidied(masks: list[Mask], config: Config, nearest: Nearest) -> list[Mask]:
    """Without holes and islands of fewer pixels, then without the duplicates that this made."""
    for mask in masks:
        for holes in (True, False):
            mask.pixels, changed = without_small(mask.pixels, config.min_mask_region_area, holes, nearest)
            mask.edited |= changed
    masks = [mask for mask in masks if mask.pixels.any()]
    threshold = max(config.box_nms_thresh, CROP_NMS_THRESH)
    kept = nms(masks, [0.0 if mask.edited else 1.0 for mask in masks], threshold, nearest)
    return sorted((masks[i] for i in kept), key=lambda mask: -mask.predicted_iou)


def without_small(pixels: np.ndarray, area: int, holes: bool, nearest: Nearest) -> tuple[np.ndarray, bool]:
    """A mask whose small holes are filled, or whose small islands are gone but for the largest of all (reference
    `remove_small_regions`); and whether there were any."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats((holes ^ pixels).astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    for size in sizes:
        nearest.see("min_mask_region_area", size, area - 0.5)
    small = 1 + np.flatnonzero(sizes < area)
    if not len(small):
        return pixels, False
    if holes:
        return pixels | np.isin(regions, small), True
    large = 1 + np.flatnonzero(sizes >= area)
    return np.isin(regions, large if len(large) else [1 + int(np.argmax(sizes))]), True


def run_lengths(pixels: np.ndarray) -> list[int]:
    """Column-major, background first."""
    flat = np.concatenate([[False], pixels.T.reshape(-1)])
    ends = np.concatenate([np.flatnonzero(flat[1:] != flat[:-1]), [len(flat) - 1]])
    return np.diff(ends, prepend=0).tolist()


def write(model: TinySam, rgb: np.ndarray, side: int, config: Config, image: str, path: Path) -> Nearest:
    """Writes the golden, and tells how near the run came to another outcome."""
    masks, calls, nearest = everything(model, rgb, side, config)
    entries = []
    for mask in masks:
        counts, (x0, y0, x1, y1) = run_lengths(mask.pixels), mask.box().tolist()
        entries.append({
            "area": int(mask.pixels.sum()), "bbox": [x0, y0, x1 - x0, y1 - y0], "predicted_iou": mask.predicted_iou,
            "point_coords": [mask.point], "stability_score": mask.stability_score, "edited": mask.edited,
            "rle_runs": len(counts), "rle_sha256": hashlib.sha256(",".join(map(str, counts)).encode()).hexdigest(),
        })  # fmt: skip
    golden = {
        "size": side, "image": [rgb.shape[1], rgb.shape[0]], "photo": image, "image_sha256": sha256(rgb),
        "torch": torch.__version__, "config": asdict(config), "decoder_calls": calls, "points": sum(calls),
        "nearest": nearest.distances, "masks": entries,
    }  # fmt: skip
    path.write_text(json.dumps(golden, indent=0) + "\n")
    return nearest
