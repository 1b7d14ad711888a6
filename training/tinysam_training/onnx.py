"""The model as two ONNX graphs, to measure other runtimes with: what they do with the same weights, beside the engine.

Every shape is constant, which is what a runtime plans best with.
"""
from pathlib import Path

import torch
from torch import Tensor, nn

from .model import FOREGROUND, PADDING, TinySam

OPSET = 17


class Encoder(nn.Module):
    """Pixels `[1, 3, S, S]`, 0…255 → embedding `[1, 256, S/16, S/16]`."""

    def __init__(self, model: TinySam):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model.encode(pixels)


class Decoder(nn.Module):
    """An embedding and one prompt, `coords [1, K, 2]` in model pixels and `labels [1, K]` → low-res logits, scores."""

    def __init__(self, model: TinySam, side: int):
        super().__init__()
        self.model, self.side = model, side
        # Traced, it would be computed in f64, which no runtime on a GPU has.
        self.register_buffer("grid", model.prompt_encoder.grid(side // 16))

    def forward(self, embedding: Tensor, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        prompts = self.model.prompt_encoder
        image = embedding + prompts.dense(None)
        masks, scores = self.model.mask_decoder(image, self.grid, prompts.sparse(coords, labels, self.side))
        return masks[:, 1:], scores[:, 1:]


@torch.no_grad()
def write(model: TinySam, side: int, folder: Path) -> None:
    """Writes `encoder.onnx` and `decoder.onnx`, the latter for one point, as a user's click is."""
    folder.mkdir(parents=True, exist_ok=True)
    embedding = torch.zeros(1, 256, side // 16, side // 16)
    coords, labels = torch.tensor([[[side / 3, side / 3], [0.0, 0.0]]]), torch.tensor([[FOREGROUND, PADDING]])
    _export(Encoder(model), (torch.zeros(1, 3, side, side),), ["pixels"], ["embedding"], folder / "encoder.onnx")
    inputs = (embedding, coords, labels)
    _export(Decoder(model, side), inputs, ["embedding", "coords", "labels"], ["masks", "scores"], folder / "decoder.onnx")


def _export(graph: nn.Module, inputs: tuple, takes: list[str], gives: list[str], path: Path) -> None:
    torch.onnx.export(graph.eval(), inputs, path, input_names=takes, output_names=gives, opset_version=OPSET)
