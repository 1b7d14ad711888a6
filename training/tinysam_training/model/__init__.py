"""TinySAM in PyTorch, written from the paper and the reference's description, with the official checkpoint's names.

It trains, and it is the second opinion on the Rust engine: on the same weights both must compute the same.
"""
import torch
from torch import Tensor, nn

from .decoder import MaskDecoder
from .encoder import ImageEncoder
from .prompts import BACKGROUND, BOTTOM_RIGHT, FOREGROUND, PADDING, TOP_LEFT, PromptEncoder

__all__ = ["BACKGROUND", "BOTTOM_RIGHT", "FOREGROUND", "PADDING", "TOP_LEFT", "TinySam", "normalise"]

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
# The reference's classifier: in the official file, used by nothing.
UNUSED = ("image_encoder.norm_head.", "image_encoder.head.")


def normalise(pixels: Tensor) -> Tensor:
    """RGB `[B, 3, S, S]`, 0…255 → the encoder's input."""
    mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return ((pixels.float() - mean) / std).contiguous(memory_format=torch.channels_last)


class TinySam(nn.Module):
    """Weights only; two verbs. Any input side that is a multiple of 32."""

    def __init__(self):
        super().__init__()
        self.image_encoder = ImageEncoder()
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder()

    def encode(self, pixels: Tensor) -> Tensor:
        """RGB `[B, 3, S, S]`, 0…255, where padding holds the mean → image embedding `[B, 256, S/16, S/16]`."""
        return self.image_encoder(normalise(pixels))

    def decode(self, embedding: Tensor, coords: Tensor, labels: Tensor, mask: Tensor | None = None):
        """All prompts of all images at once.

        `embedding [B, 256, h, h]`; `coords [B·P, K, 2]` in model pixels and `labels [B·P, K]`, image after image;
        `mask [B·P, 1, 4h, 4h]` low-res logits → logits `[B·P, 3, 4h, 4h]`, predicted IoU `[B·P, 3]`.
        """
        masks, scores = self.decode_all(embedding, coords, labels, mask)
        return masks[:, 1:], scores[:, 1:]

    def decode_all(self, embedding: Tensor, coords: Tensor, labels: Tensor, mask: Tensor | None = None):
        """The same with mask token 0, which TinySAM drops."""
        side = embedding.shape[-1]
        image = embedding.repeat_interleave(len(coords) // len(embedding), 0) + self.prompt_encoder.dense(mask)
        sparse = self.prompt_encoder.sparse(coords, labels, 16 * side)
        return self.mask_decoder(image, self.prompt_encoder.grid(side), sparse)

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Takes a checkpoint's tensors: every one that the network uses must be there, and none may be unknown."""
        known = {name: value.float() for name, value in tensors.items() if not name.startswith(UNUSED)}
        missing, unknown = self.load_state_dict(known, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unknown:
            raise ValueError(f"not a TinySAM checkpoint: missing {missing[:3]}, unknown {unknown[:3]}")
