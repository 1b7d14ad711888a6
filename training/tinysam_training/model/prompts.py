"""The prompt encoder: points, boxes and masks become tokens and a dense map (reference prompt_encoder.py)."""
import math

import torch
from torch import Tensor, nn

from .encoder import LayerNorm2d

# Labels of prompt points. A box is its two corners.
PADDING, BACKGROUND, FOREGROUND, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3


class PositionalEncoding(nn.Module):
    """Random Fourier features of positions in the unit square."""

    def __init__(self):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, 128))

    def forward(self, at: Tensor) -> Tensor:
        """`at [..., 2]` in [0, 1], x before y → `[..., 256]`. Always in f32: the angles are large."""
        with torch.autocast(at.device.type, enabled=False):
            angles = 2 * math.pi * ((2 * at.float() - 1) @ self.positional_encoding_gaussian_matrix.float())
            return torch.cat([angles.sin(), angles.cos()], -1)


class PromptEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.pe_layer = PositionalEncoding()
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, 256) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, 256)
        self.no_mask_embed = nn.Embedding(1, 256)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), LayerNorm2d(4), nn.GELU(),
            nn.Conv2d(4, 16, 2, 2), LayerNorm2d(16), nn.GELU(),
            nn.Conv2d(16, 256, 1),
        )  # fmt: skip

    def sparse(self, coords: Tensor, labels: Tensor, side: int) -> Tensor:
        """`coords [N, K, 2]` in model pixels, `labels [N, K]` → `[N, K, 256]`; `side` is the model's input side."""
        positions = self.pe_layer((coords + 0.5) / side) * (labels != PADDING).unsqueeze(-1)
        kinds = torch.cat([self.not_a_point_embed.weight] + [kind.weight for kind in self.point_embeddings])
        return positions + kinds[labels + 1]

    def dense(self, logits: Tensor | None) -> Tensor:
        """Low-res logits `[N, 1, S/4, S/4]` → `[N, 256, S/16, S/16]`; of no mask `[1, 256, 1, 1]`."""
        return self.no_mask_embed.weight.view(1, -1, 1, 1) if logits is None else self.mask_downscaling(logits)

    def grid(self, side: int) -> Tensor:
        """The positional encoding of the `side`² cells' centres, `[1, 256, side, side]`."""
        centres = (torch.arange(side, device=self.no_mask_embed.weight.device) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return self.pe_layer(torch.stack([x, y], -1)).permute(2, 0, 1)[None]
