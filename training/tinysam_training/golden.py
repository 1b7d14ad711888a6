"""Goldens: every tensor of a run by name, to compare with the reference's and for the Rust engine to be compared with.

The format is that of `tests/fixtures/goldens` (its README has it): a JSON of prompts and statistics, and beside it a
safetensors file of samples.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from .formula import sha256
from .frame import Frame
from .model import BOTTOM_RIGHT, FOREGROUND, PADDING, TOP_LEFT, TinySam


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


@torch.no_grad()
def trace(model: TinySam, rgb: np.ndarray, side: int, prompts: dict[str, dict]) -> dict[str, Tensor]:
    """Runs `prompts` (pixels of the picture; boxes xyxy; `mask` names another prompt, whose best mask is refined) and
    returns the tensors that the goldens name, in their layout and in the order in which data flows."""
    frame = Frame((rgb.shape[1], rgb.shape[0]), side)
    encoder, seen, hooks = model.image_encoder, {}, []

    def see(name, module, layout=lambda x: x):
        hooks.append(module.register_forward_hook(lambda _, __, out: seen.__setitem__(name, layout(out).clone())))

    see("enc.patch_embed", encoder.patch_embed)
    for i, stage in enumerate(encoder.layers):
        for j, block in enumerate(stage.blocks):
            name = f"enc.layers.{i}.blocks.{j}"
            if i > 0 and j == 0:
                see(f"{name}.attn", block.attn)
            see(name, block, _tokens if i > 0 else lambda x: x)
        see(f"enc.layers.{i}", stage, _tokens)
    for k, module in enumerate(encoder.neck):
        see(f"enc.neck.{k}", module)
    hooks.append(
        encoder.neck.register_forward_pre_hook(lambda _, args: seen.__setitem__("enc.pre_neck", args[0].clone()))
    )
    pixels = frame.input(rgb)
    seen["resized_u8"] = torch.from_numpy(frame.resize(rgb).copy())
    hooks.append(encoder.register_forward_pre_hook(lambda _, args: seen.__setitem__("input", args[0].clone())))
    try:
        embedding = model.encode(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    seen["image_embedding"], seen["dense_pe"] = embedding, model.prompt_encoder.grid(embedding.shape[-1])
    for name, prompt in prompts.items():
        _prompt(model, frame, embedding, name, prompt, seen)
    return {name: value.detach() for name, value in seen.items()}


def tokens_of(frame: Frame, points=(), labels=(), box=None) -> tuple[Tensor, Tensor]:
    """A joint prompt in the reference's order: points, a padding point where there is no box, the box's corners."""
    coords, kinds = [], []
    if len(points):
        coords, kinds = frame.to_model(points).tolist(), list(labels)
        if box is None:
            coords, kinds = coords + [[0.0, 0.0]], kinds + [PADDING]
    if box is not None:
        coords, kinds = coords + frame.to_model(np.reshape(box, (2, 2))).tolist(), kinds + [TOP_LEFT, BOTTOM_RIGHT]
    return torch.tensor([coords]), torch.tensor([kinds])


def _prompt(model: TinySam, frame: Frame, embedding: Tensor, name: str, prompt: dict, seen: dict[str, Tensor]) -> None:
    points, box = prompt.get("points", []), prompt.get("box")
    coords, labels = tokens_of(frame, points, prompt.get("labels", []), box)
    mask = None
    if "mask" in prompt:
        source = prompt["mask"].removeprefix("low-res logits of ").split(",")[0].strip()
        mask = seen[f"{source}.low_res"][:, int(seen[f"{source}.iou"].argmax())][None]
    out = {"sparse": model.prompt_encoder.sparse(coords, labels, frame.side)}
    out["dense"] = model.prompt_encoder.dense(mask).expand(1, -1, *embedding.shape[-2:])
    if points:
        out["coords_model"], out["labels"] = frame.to_model(points)[None], torch.tensor([prompt["labels"]]).int()
    if box:
        out["box_model"] = frame.to_model(np.reshape(box, (2, 2))).reshape(1, 4)
    hook = model.mask_decoder.transformer.register_forward_hook(
        lambda _, __, result: out.update(tr_queries=result[0], tr_keys=result[1])
    )
    try:
        out["low_res4"], out["iou4"] = model.decode_all(embedding, coords, labels, mask)
    finally:
        hook.remove()
    out["low_res"], out["iou"] = out["low_res4"][:, 1:], out["iou4"][:, 1:]
    out["masks_logits"] = frame.upscale(out["low_res"])
    seen.update({f"{name}.{key}": value for key, value in out.items()})


def samples(flat: np.ndarray) -> np.ndarray:
    """The elements that a golden keeps."""
    return flat[(np.arange(min(256, flat.size)) * 7919 + 13) % flat.size]


def write(model: TinySam, rgb: np.ndarray, side: int, prompts: dict[str, dict], image: str, path: Path) -> None:
    """Writes `path` (.json) and the samples beside it."""
    seen = {name: np.ascontiguousarray(value.numpy()) for name, value in trace(model, rgb, side, prompts).items()}
    frame = Frame((rgb.shape[1], rgb.shape[0]), side)
    kept, entries, areas = {}, {}, {}
    for name, value in seen.items():
        flat = value.reshape(-1)
        double = flat.astype(np.float64)
        entries[name] = {
            "shape": list(value.shape), "dtype": str(value.dtype), "sha256": sha256(value), "mean": double.mean(),
            "std": double.std(), "absmax": abs(double).max(), "sum": double.sum(), "l2": float(np.sqrt((double**2).sum())),
        }  # fmt: skip
        kept[f"{name}.samples"] = samples(flat).copy()
    for name in prompts:
        masks, best = seen[f"{name}.masks_logits"][0] > 0, int(seen[f"{name}.iou"].argmax())
        areas[name] = [int(mask.sum()) for mask in masks]
        kept[f"{name}.best_mask_bits"] = np.packbits(masks[best])
        kept[f"{name}.iou_full"], kept[f"{name}.sparse_full"] = seen[f"{name}.iou4"], seen[f"{name}.sparse"]
    golden = {
        "size": side, "image": image, "original_size": list(rgb.shape[:2]), "input_size": list(frame.resized[::-1]),
        "prompts": prompts, "image_sha256": sha256(rgb), "sample_rule": "(j*7919+13)%n, j<min(256,n)",
        "torch": torch.__version__, "threads": torch.get_num_threads(), "mask_areas": areas, "tensors": entries,
    }  # fmt: skip
    path.write_text(json.dumps(golden, indent=0) + "\n")
    save_file(kept, path.with_suffix(".safetensors"))


def weights_sha256(state: dict[str, Tensor]) -> str:
    """Of every key in sorted order: its UTF-8 bytes, then its little-endian data."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].numpy().tobytes())
    return digest.hexdigest()


__all__ = ["FOREGROUND", "samples", "tokens_of", "trace", "weights_sha256", "write"]
