"""Our model on the formula checkpoint computes what the reference does."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tinysam_training import formula, golden
from tinysam_training.frame import open_rgb
from tinysam_training.model import TinySam

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures"


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    model = TinySam().eval()
    formula.fill(model)
    return model


def test_the_names_and_shapes_are_the_checkpoints(model):
    listed = {}
    for line in (ROOT / "src/checkpoint/state_dict.txt").read_text().splitlines():
        name, _, shape, _ = line.split("\t")
        listed[name] = tuple(json.loads(shape))
    unused = {name for name in listed if name.startswith(("image_encoder.norm_head", "image_encoder.head"))}
    ours = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert ours == {name: shape for name, shape in listed.items() if name not in unused}


def test_the_formulas_weights(model):
    state = dict(model.state_dict())
    for name, shape in [("norm_head.weight", 320), ("norm_head.bias", 320), ("head.weight", (1000, 320)), ("head.bias", 1000)]:
        name = f"image_encoder.{name}"
        state[name] = torch.from_numpy(formula.values(name, shape if isinstance(shape, tuple) else (shape,)))
    expected = json.loads((FIXTURES / "goldens/golden_256_synth.json").read_text())["weights_sha256"]
    assert golden.weights_sha256(state) == expected


# By the last part of a tensor's name: how much any element may differ. Everything else: relative RMS 5e-6.
MOST = {"low_res": 2e-4, "low_res4": 2e-4, "masks_logits": 3e-4, "iou": 1e-4, "iou4": 1e-4, "sparse": 1e-5,
        "dense_pe": 1e-5, "labels": 0, "resized_u8": 0, "input": 2e-6, "coords_model": 2e-4, "box_model": 2e-4}  # fmt: skip


@pytest.mark.parametrize("name", ["256_synth", "512_synth", pytest.param("1024_coffee", marks=pytest.mark.slow)])
def test_it_meets_the_golden(model, name):
    path = FIXTURES / f"goldens/golden_{name}.json"
    expected, kept = json.loads(path.read_text()), load_file(path.with_suffix(".safetensors"))
    rgb = formula.synthetic_image(640, 480) if name.endswith("synth") else open_rgb(FIXTURES / "photos/coffee.png")
    assert formula.sha256(rgb) == expected["image_sha256"]
    seen = golden.trace(model, rgb, expected["size"], expected["prompts"])
    faults = []
    for key, entry in expected["tensors"].items():
        ours, part = seen[key].numpy(), "enc" if key.startswith("enc.") else key.rsplit(".")[-1]
        assert list(ours.shape) == entry["shape"], key
        ours = golden.samples(ours.reshape(-1)).astype(np.float64)
        difference = ours - kept[f"{key}.samples"]
        worst = abs(difference).max()
        relative = np.sqrt((difference**2).mean() / max((ours**2).mean(), 1e-30))
        if (worst > MOST[part]) if part in MOST else (relative > 5e-6):
            faults.append((key, worst, relative))
    for prompt, areas in expected["mask_areas"].items():
        logits = seen[f"{prompt}.masks_logits"][0]
        best = np.unpackbits(kept[f"{prompt}.best_mask_bits"], count=logits[0].numel()).astype(bool)
        ours = logits[int(seen[f"{prompt}.iou"].argmax())].flatten().numpy() > 0
        if (ours != best).mean() > 1e-4:
            faults.append((prompt, (ours != best).mean(), "of the best mask's pixels"))
        if any(abs(int((mask > 0).sum()) - area) > 1e-4 * best.size for mask, area in zip(logits, areas)):
            faults.append((prompt, areas, "areas"))
    assert not faults


def test_it_fails_without_the_biases(model):
    """The tolerances catch what they are for."""
    expected = json.loads((FIXTURES / "goldens/golden_256_synth.json").read_text())
    kept = load_file(FIXTURES / "goldens/golden_256_synth.safetensors")
    bare = TinySam().eval()
    bare.load_state_dict({n: v * 0 if n.endswith("attention_biases") else v for n, v in model.state_dict().items()})
    seen = golden.trace(bare, formula.synthetic_image(640, 480), 256, {})
    ours = golden.samples(seen["image_embedding"].numpy().reshape(-1))
    wanted = kept["image_embedding.samples"]
    assert np.sqrt(((ours - wanted) ** 2).mean() / (wanted**2).mean()) > 1e-2
    assert expected["size"] == 256
