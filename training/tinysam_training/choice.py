"""The choice among the three masks, taught by itself: the score head learns on what the rest of a network already
computes, in minutes, while masks stay as they are."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .album import Album, sample
from .losses import mask_loss, score_loss
from .model import TinySam

OWN = 1 << 30
"""The seed of its pictures; a run's and the held-out scenes' are others."""
STEPS = 400
RATE = 3e-4
BATCH = 512


@dataclass
class Examples:
    """Of N prompts."""

    tokens: Tensor
    """`[N, 256]`: what the score head reads."""
    iou: Tensor
    """`[N, 3]`: measured."""

    def chosen(self, head: nn.Module) -> float:
        """Mean IoU of the masks that the head chooses."""
        with torch.no_grad():
            return self.iou.gather(1, head(self.tokens)[:, 1:].argmax(1, keepdim=True)).mean().item()

    @property
    def best(self) -> float:
        """Mean IoU of the best of three."""
        return self.iou.amax(1).mean().item()


@torch.no_grad()
def examples(model: TinySam, album: Album, side: int, pictures: range, prompts: int = 16) -> Examples:
    """Of pictures by number, each a photo with prompts as training takes them."""
    tokens, ious = [], []
    hook = model.mask_decoder.iou_prediction_head.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
    try:
        for number in pictures:
            made = sample(np.random.default_rng([OWN, number]), album, side, prompts)
            pixels, masks, coords, labels, _ = (torch.from_numpy(part) for part in made)
            logits, scores = model.decode(model.encode(pixels[None]), coords, labels)
            ious.append(mask_loss(logits, scores, masks / 255, 0.0, labels[:, 0] == 2).iou)
    finally:
        hook.remove()
    return Examples(torch.cat(tokens), torch.cat(ious))


def teach(head: nn.Module, learnt: Examples) -> None:
    """Trains a score head in place, the rate falling to nothing."""
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        picked = torch.randint(len(learnt.iou), (BATCH,), generator=generator)
        loss = score_loss(head(learnt.tokens[picked])[:, 1:], learnt.iou[picked]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
