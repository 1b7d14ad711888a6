"""What a training step takes."""
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Batch:
    """B images with P prompts each. Coordinates are model pixels."""

    pixels: Tensor
    """u8 `[B, 3, S, S]`."""
    masks: Tensor
    """u8 `[B, P, S/2, S/2]`: what each prompt means, 255 inside, between at the edges."""
    coords: Tensor
    """f32 `[B, P, 2, 2]`: a box's corners, or a point and a padding point."""
    labels: Tensor
    """int64 `[B, P, 2]`: `model.prompts` has the values."""
    objects: Tensor
    """`[B, S/4, S/4]`: the visible object at each place, 0 for none, −1 where nobody says."""

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__))

    @property
    def boxes(self) -> Tensor:
        """bool `[B·P]`: the prompt is a box."""
        return self.labels.flatten(0, 1)[:, 0] == 2
