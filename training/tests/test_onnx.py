"""The ONNX graphs compute what the model does."""
import numpy as np
import torch
from onnx.reference import ReferenceEvaluator

from tinysam_training import onnx
from tinysam_training.formula import fill
from tinysam_training.model import FOREGROUND, PADDING, TinySam

SIDE = 64


def test_the_graphs_compute_what_the_model_does(tmp_path):
    model = TinySam().eval()
    fill(model)
    onnx.write(model, SIDE, tmp_path)
    pixels = torch.arange(3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE) % 251.0
    coords, labels = torch.tensor([[[20.0, 30.0], [0.0, 0.0]]]), torch.tensor([[FOREGROUND, PADDING]])
    with torch.no_grad():
        embedding = model.encode(pixels)
        masks, scores = model.decode(embedding, coords, labels)

    encoder, decoder = (ReferenceEvaluator(str(tmp_path / f"{name}.onnx")) for name in ("encoder", "decoder"))
    (found,) = encoder.run(None, {"pixels": pixels.numpy()})
    np.testing.assert_allclose(found, embedding, atol=2e-4)
    feeds = {"embedding": embedding.numpy(), "coords": coords.numpy(), "labels": labels.numpy()}
    found_masks, found_scores = decoder.run(None, feeds)
    np.testing.assert_allclose(found_masks, masks, atol=2e-3)
    np.testing.assert_allclose(found_scores, scores, atol=1e-4)
