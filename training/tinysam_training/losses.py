"""What training minimises. Everything in f32, masks at half the input's resolution."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Outcome:
    """Of N prompts."""

    loss: Tensor
    """`[N]`."""
    iou: Tensor
    """`[N, 3]`: of each of the three masks with the truth, measured."""
    best: Tensor
    """`[N]`: the mask with the least loss."""
    chosen: Tensor
    """`[N]`: the mask with the highest predicted IoU."""
    score_error: Tensor
    """`[N]`: mean squared error of the predicted IoU."""

    def of_best(self) -> Tensor:
        return self.iou.gather(1, self.best[:, None])[:, 0]

    def of_chosen(self) -> Tensor:
        return self.iou.gather(1, self.chosen[:, None])[:, 0]


SHARPNESS = 20.0
"""Of the choice among three masks: a twentieth more IoU makes a mask e times as likely."""


def mask_loss(logits: Tensor, scores: Tensor, truth: Tensor, balanced: float, certain: Tensor) -> Outcome:
    """dice + 20·focal of the best of three, a little of the mean over the three, which keeps the others alive, a
    quarter of the mask that a user would get, and `score_loss`.

    What is `certain` (a box, a mask with a click where it errs) means one thing, and all three masks are to be it; a
    lone click may mean a whole or a part, and the three may differ. The share of such a mask that lies outside of the
    truth's box counts once more: where a box ends needs no picture, yet a young network spreads a small object's mask
    well beyond it.

    From random weights focal loss finds empty masks and stays there: `balanced`, from 1 down to 0 early in training,
    puts a cross-entropy in its place that weighs inside and outside alike.

    `logits [N, 3, h, h]`, `scores [N, 3]`, `truth [N, H, H]` in [0, 1], `certain` bool `[N]`.
    """
    logits = F.interpolate(logits.float(), truth.shape[-2:], mode="bilinear", align_corners=False)
    truth, inside = truth[:, None], logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    overlap, area = (inside * truth).sum((-1, -2)), inside.sum((-1, -2))
    dice = 1 - (2 * overlap + 1) / (area + truth.sum((-1, -2)) + 1)
    columns, rows = ((truth.amax(axis) > 0).float() for axis in (-2, -1))
    within = ((inside @ columns[..., None])[..., 0] * rows).sum(-1)
    each = dice + certain[:, None] * (area - within) / (area + 1)
    if balanced < 1:
        right = inside * truth + (1 - inside) * (1 - truth)
        each = each + 20 * (1 - balanced) * (0.5 * (1 - right) ** 2 * entropy).mean((-1, -2))
    if balanced > 0:
        share = truth.mean((-1, -2), keepdim=True).clamp(0.02, 0.98)
        each = each + balanced * (entropy * (0.5 * truth / share + 0.5 * (1 - truth) / (1 - share))).mean((-1, -2))
    least, best = each.min(1)
    with torch.no_grad():
        ours, theirs = logits > 0, truth > 0.5
        iou = (ours & theirs).sum((-1, -2)) / (ours | theirs).sum((-1, -2)).clamp(min=1)
    chosen = scores.argmax(1)
    loss = least + torch.where(certain, 0.3, 0.05) * each.mean(1) + 0.25 * each.gather(1, chosen[:, None])[:, 0]
    error = ((scores.detach() - iou) ** 2).mean(1)
    return Outcome(loss + score_loss(scores, iou), iou, best, chosen, error)


def score_loss(scores: Tensor, iou: Tensor) -> Tensor:
    """What teaches the choice, `[N]`: twice the squared error of the predicted IoU `[N, 3]`, and a little of the
    divergence of the choice by predicted from the choice by measured IoU `[N, 3]`."""
    scores = scores.float()
    error = ((scores - iou) ** 2).mean(1)
    ranked = F.kl_div(F.log_softmax(SHARPNESS * scores, 1), F.softmax(SHARPNESS * iou, 1), reduction="none").sum(1)
    return 2 * error + 0.05 * ranked


class Affinity(nn.Module):
    """Same object or not, for pairs of places, from the embedding alone: a throw-away head that teaches the encoder
    where objects end, before any prompt means anything."""

    OFFSETS = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0), (3, 3), (3, -3), (0, 8), (8, 0), (7, 7), (7, -7)]
    CHANNELS = 16

    def __init__(self):
        super().__init__()
        self.project = nn.Conv2d(256, self.CHANNELS * 16, 1)

    def forward(self, embedding: Tensor, objects: Tensor) -> Tensor:
        """`embedding [B, 256, h, h]`, `objects [B, 4h, 4h]` → the mean loss. What is unknown (−1) is compared with
        objects only."""
        code = F.pixel_shuffle(self.project(embedding).float(), 4)
        losses = []
        for down, right in self.OFFSETS:
            (a, b), (here, there) = _pair(code, down, right), _pair(objects, down, right)
            same = (here == there).float()
            logit = 2 - ((a - b) ** 2).sum(1)
            share = same.mean().clamp(0.05, 0.95)
            weight = torch.where(same > 0, 0.5 / share, 0.5 / (1 - share))
            some = (here > 0) | (there > 0)
            weight = weight * torch.where(some, 1.0, 0.2)  # background against itself is easy
            weight = weight * (some | ((here == 0) & (there == 0)))
            losses.append((F.binary_cross_entropy_with_logits(logit, same, reduction="none") * weight).mean())
        return torch.stack(losses).mean()


def _pair(x: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    """Each place that has a neighbour at the offset, and that neighbour."""
    h, w = x.shape[-2:]
    left, start = max(0, -right), max(0, right)
    here = x[..., : h - down, left : w - start]
    return here, x[..., down:, start : w - left]
