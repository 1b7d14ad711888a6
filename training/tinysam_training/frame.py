"""From a picture's pixels to the model's and back (reference utils/transforms.py)."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .model import MEAN


@dataclass(frozen=True)
class Frame:
    """A picture `(width, height)` within a model input of `side`²: its long side fills it, the rest is padding."""

    original: tuple[int, int]
    side: int

    @property
    def resized(self) -> tuple[int, int]:
        """(width, height) in model pixels."""
        scale = self.side / max(self.original)
        width, height = (int(n * scale + 0.5) for n in self.original)
        return width, height

    def to_model(self, points) -> Tensor:
        """Points `[..., 2]` of the picture in model pixels."""
        ratio = np.array(self.resized, np.float64) / np.array(self.original, np.float64)
        return torch.from_numpy((np.asarray(points, np.float64) * ratio).astype(np.float32))

    def resize(self, rgb: np.ndarray) -> np.ndarray:
        """The picture at model scale, u8, by PIL's antialiased bilinear filter as the reference has it."""
        return np.asarray(Image.fromarray(rgb).resize(self.resized, Image.Resampling.BILINEAR))

    def input(self, rgb: np.ndarray) -> Tensor:
        """`[1, 3, side, side]`, 0…255, padded right and bottom with the mean: zero once normalised."""
        pixels = torch.tensor(MEAN).view(1, 3, 1, 1).repeat(1, 1, self.side, self.side)
        width, height = self.resized
        pixels[0, :, :height, :width] = torch.from_numpy(self.resize(rgb).transpose(2, 0, 1).astype(np.float32))
        return pixels

    def upscale(self, low_res: Tensor) -> Tensor:
        """Logits `[N, M, side/4, side/4]` → `[N, M, height, width]` of the picture."""
        width, height = self.resized
        logits = F.interpolate(low_res, (self.side, self.side), mode="bilinear", align_corners=False)
        return F.interpolate(logits[..., :height, :width], self.original[::-1], mode="bilinear", align_corners=False)


def open_rgb(path) -> np.ndarray:
    """`[height, width, 3]` u8, EXIF orientation applied."""
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
