"""Single objects on a square of their own, for scenes that are composed on the device."""
import numpy as np

from . import shapes
from .scene import Painter, Plan, background
from .textures import Material

MOST_PARTS = 255


def sprite(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB u8 `[side, side, 3]`, painted beyond the outline so that nothing shows at its edge; cover u8; part u8, from
    1. The whole object lies inside."""
    while True:
        shape = shapes.draw(rng)
        one = Material.draw(rng) if rng.random() < 0.25 else None
        materials = [one or Material.draw(rng) for _ in range(max(1, len(shape.parts)))]
        painter = Painter(rng, side, np.zeros((side, side, 3), np.float32))
        plan = Plan(shape, materials, 0.62, np.array([side / 2, side / 2]), rng.normal(0, 0.2), False, 0)
        cut = painter.cut(plan)
        if cut is None:
            continue
        (left, top), masks, whole = cut
        cover, parts = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
        window = np.s_[top : top + whole.shape[0], left : left + whole.shape[1]]
        cover[window] = whole
        edge = np.concatenate([cover[0], cover[-1], cover[:, 0], cover[:, -1]])
        if edge.any() or (cover > 127).mean() < 0.02:
            continue
        rgb = materials[0].paint(rng, side, side, side)
        patch, labels = painter.surfaces(plan, masks, rgb[window].copy())
        if rng.random() < 0.7:
            painter.relief(patch, whole)
        rgb[window], parts[window] = patch, np.minimum(labels, MOST_PARTS)
        return np.clip(rgb, 0, 255).astype(np.uint8), cover, parts


def bank(seed: list[int], side: int, count: int) -> list[np.ndarray]:
    """`count` sprites and as many backgrounds: RGB `[count, 3, side, side]`, cover and part `[count, side, side]`,
    backgrounds `[count, 3, side, side]`, all u8."""
    rng = np.random.default_rng(seed)
    rgb, cover, part = (np.stack(made) for made in zip(*(sprite(rng, side) for _ in range(count))))
    behind = np.stack([np.clip(background(rng, side), 0, 255).astype(np.uint8) for _ in range(count)])
    return [rgb.transpose(0, 3, 1, 2), cover, part, behind.transpose(0, 3, 1, 2)]
