"""The formula checkpoint: weights that are a pure function of a parameter's name and an index (seed 0).

The rules stand in `tests/fixtures/goldens/README.md`; `tests/golden/src/formula.rs` is the same in Rust.
"""
import hashlib
import math

import numpy as np
import torch
from torch import nn

GOLD = np.uint64(0x9E3779B97F4A7C15)
NORMS = (".norm", "norm_head", "neck.1.", "neck.3.", "output_upscaling.1.", "mask_downscaling.1.",
         "mask_downscaling.4.")  # fmt: skip


def _spread(name: str, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """(low, high, added to every ninth value from the fifth); the first rule that matches decides."""
    first, fan_in = (shape or (1,))[0], math.prod(shape[1:])
    vector, around = len(shape) == 1, lambda a: (-a, a, 0.0)
    ends, has = name.endswith, lambda part: part in name
    if ends("num_batches_tracked"):
        return around(0.0)
    if ends("running_mean"):
        return around(0.3)
    if ends("running_var"):
        return 0.6, 1.6, 0.0
    if ends("bn.weight"):
        return 0.7, 1.3, 0.0
    if ends("bn.bias"):
        return around(0.3)
    if ends("attention_biases"):
        return around(1.5)
    if ends("local_conv.c.weight"):
        return -0.25, 0.25, 0.8
    if ends("patch_embed.seq.0.c.weight"):
        return around(math.sqrt(3 / fan_in))
    if ends(".c.weight"):
        return around(1.35 * math.sqrt(3 / fan_in))
    if ends("positional_encoding_gaussian_matrix"):
        return around(math.sqrt(3))
    if (has("_embed") and len(shape) == 2 and first == 1) or ends(("iou_token.weight", "mask_tokens.weight")):
        return around(1.0)
    if vector and ends(".weight"):
        return 0.7, 1.3, 0.0
    if vector and any(has(part) for part in NORMS):
        return around(0.3)
    if ends("iou_prediction_head.layers.2.bias"):
        return 0.3, 0.9, 0.0
    if vector:
        return around(0.2)
    if has("output_upscaling"):
        return around(1.2 * math.sqrt(3 / first))
    return around(_gain(name) * math.sqrt(3 / fan_in))


def _gain(name: str) -> float:
    if name.endswith("qkv.weight"):
        return 1.8
    if "q_proj" in name or "k_proj" in name:
        return 1.5
    if "hypernetworks" in name or "lin1" in name or "fc1" in name:
        return 1.4
    return 0.25 if "iou_prediction_head.layers.2" in name else 1.0


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The parameter `name`, f32."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = (start ^ byte) * 0x100000001B3 & (1 << 64) - 1
    index = np.arange(math.prod(shape), dtype=np.uint64)
    low, high, centre = _spread(name, shape)
    with np.errstate(over="ignore"):
        z = np.uint64(start) + (index + np.uint64(1)) * GOLD
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return (low + (high - low) * unit + np.where(index % np.uint64(9) == 4, centre, 0.0)).astype(np.float32).reshape(shape)


def fill(model: nn.Module) -> None:
    """Gives a model the formula's weights."""
    state = model.state_dict()
    model.load_state_dict(
        {name: torch.from_numpy(values(name, tuple(v.shape))).to(v.dtype) for name, v in state.items()}
    )


def synthetic_image(width: int, height: int) -> np.ndarray:
    """The goldens' picture, `[height, width, 3]` u8."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([200 * x // width, 200 * y // height, 200 * (x + y) // (width + height)], -1) + 20
    disc = (x - 3 * width // 10) ** 2 + (y - 4 * height // 10) ** 2 <= (min(width, height) // 5) ** 2
    rgb[disc] = 220, 60, 40
    rgb[(11 * width // 20 <= x) & (x < 17 * width // 20) & (9 * height // 20 <= y) & (y < 16 * height // 20)] = 40, 90, 210
    inside = (width // 10 <= x) & (x < width // 2) & (7 * height // 10 <= y) & (y < 9 * height // 10)
    rgb[inside & ((x + 2 * y) // 12 % 2 == 0)] = 235, 225, 90
    with np.errstate(over="ignore"):
        z = (3 * (y * width + x)[..., None] + np.arange(3) + 1).astype(np.uint64) * GOLD
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = z ^ (z >> np.uint64(27))
    noise = ((z >> np.uint64(20)) % np.uint64(17)).astype(np.int64) - 8
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
