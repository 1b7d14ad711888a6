"""One scene: a background, objects painted over each other, light, and a camera.

Every length scales with the side, so that the same generator serves 112 and 1024.
"""
import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from . import shapes
from .shapes import Shape
from .textures import Material, bank, colour

SUBPIXEL = 4  # bits


@dataclass
class Scene:
    """A picture and what is seen in it."""

    rgb: np.ndarray
    """u8 `[S, S, 3]`."""
    objects: np.ndarray
    """i16 `[S, S]`: the visible object, 0 for the background."""
    parts: np.ndarray
    """i16 `[S, S]`: the visible part, 0 for none."""
    owner: dict[int, int] = field(default_factory=dict)
    """The object of each part."""
    full: dict[int, int] = field(default_factory=dict)
    """Pixels of each object before others covered it."""
    groups: list[tuple[int, ...]] = field(default_factory=list)
    """Objects of one kind that stand together."""


@dataclass
class Plan:
    """An object to be painted."""

    shape: Shape
    materials: list[Material]
    size: float
    centre: np.ndarray
    angle: float
    repeated: bool
    group: int


def fill(mask: np.ndarray, points: np.ndarray, value=255) -> None:
    """A polygon with soft edges."""
    cv2.fillPoly(mask, [np.round(points * (1 << SUBPIXEL)).astype(np.int32)], value, cv2.LINE_AA, SUBPIXEL)


def scene(rng: np.random.Generator, side: int, fewest: int = 4, most: int = 22, plain: bool = False) -> Scene:
    """A pure function of the generator's state. A plain scene is of single colours, without light and camera."""
    plans = _plan(rng, side, fewest, most)
    if plain:
        plans = [replace(plan, materials=[material.plain() for material in plan.materials]) for plan in plans]
        painter = Painter(rng, side, np.tile(colour(rng), (side, side, 1)), plain)
    else:
        painter = Painter(rng, side, background(rng, side))
    defocus = int(rng.integers(len(plans))) if not plain and rng.random() < 0.35 else -1
    for i, plan in enumerate(plans):
        if i == defocus:  # everything so far lies behind the plane of focus
            painter.rgb = cv2.GaussianBlur(painter.rgb, (0, 0), side * rng.uniform(0.003, 0.02))
        painter.add(plan)
    made = painter.scene
    made.rgb = np.clip(painter.rgb, 0, 255).astype(np.uint8) if plain else _camera(rng, painter.rgb)
    members: dict[int, list[int]] = {}
    for number, group in painter.group_of.items():
        members.setdefault(group, []).append(number)
    made.groups = [tuple(group) for group in members.values() if len(group) > 1]
    return made


def _plan(rng: np.random.Generator, side: int, fewest: int, most: int) -> list[Plan]:
    """Sizes follow a power law, the large mostly behind; some kinds come in crowds."""
    count = int(rng.integers(fewest, most + 1))
    smallest, largest = (0.10, 0.85) if rng.random() < 0.75 else (0.3, 1.0)
    sizes = 1 / (1 / smallest + rng.random(count) * (1 / largest - 1 / smallest))
    sizes = np.sort(sizes)[::-1] if rng.random() < 0.75 else sizes
    plans, i = [], 0
    while i < count:
        shape = shapes.draw(rng)
        one = Material.draw(rng) if rng.random() < 0.25 else None
        materials = [one or Material.draw(rng) for _ in range(max(1, len(shape.parts)))]
        centre = rng.uniform(-0.02, 1.02, 2) * side
        angle = rng.normal(0, 0.3) if rng.random() < 0.6 else rng.uniform(0, 2 * math.pi)
        many = int(rng.integers(2, 7)) if rng.random() < 0.16 else 1
        for k in range(many):
            at = centre + rng.normal(0, 0.75, 2) * sizes[i] * side * (k > 0)
            turned = angle + rng.normal(0, 0.3) * (k > 0)
            plans.append(Plan(shape, materials, float(sizes[i]), at, turned, many > 1, i))
        i += max(1, many // 2)
    return plans[: most + 8]


class Painter:
    """Paints objects one over the other and keeps what is visible."""

    def __init__(self, rng: np.random.Generator, side: int, behind: np.ndarray, plain: bool = False):
        self.rng, self.side, self.rgb, self.plain = rng, side, behind, plain
        self.light, self.shaded = rng.uniform(0, 2 * math.pi), not plain and rng.random() < 0.8
        empty = np.zeros((side, side), np.int16)
        self.scene = Scene(np.empty(0), empty, empty.copy())
        self.group_of: dict[int, int] = {}
        self.last: Material | None = None

    def add(self, plan: Plan) -> None:
        cut = self.cut(plan)
        if cut is None:
            return
        (left, top), masks, whole = cut
        rng, height, width = self.rng, *whole.shape
        if self.shaded and rng.random() < 0.6:
            self.shadow(whole, left, top, plan.size)
        window = np.s_[top : top + height, left : left + width]
        patch, labels = self.surfaces(plan, masks, self.rgb[window].copy())
        if self.shaded and rng.random() < 0.8:
            self.relief(patch, whole if len(masks) == 1 or rng.random() < 0.5 else masks[int(rng.integers(len(masks)))])
        cover = whole / np.float32(255)
        if not self.plain and rng.random() < 0.15:  # soft or defocused
            cover = cv2.GaussianBlur(cover, (0, 0), self.side * rng.uniform(0.002, 0.008))
        if not self.plain and rng.random() < 0.04:  # translucent
            cover = cover * rng.uniform(0.6, 0.9)
        self.rgb[window] += (patch - self.rgb[window]) * cover[..., None]
        number, seen = len(self.scene.full) + 1, whole > 127
        self.scene.objects[window][seen], self.scene.parts[window][seen] = number, labels[seen]
        self.scene.full[number], self.group_of[number] = int(seen.sum()), plan.group

    def cut(self, plan: Plan):
        """The object's corner, and the masks of its parts and of the whole, u8; nothing of one too small."""
        rng, shape, side = self.rng, plan.shape, self.side
        stretch = math.sqrt(math.exp(rng.normal(0, 0.35 if shape.plain else 0.15)))
        half, flip = plan.size * side / 2, -1 if rng.random() < 0.5 else 1

        def place(points: np.ndarray) -> np.ndarray:
            return shapes.rotate(points * [flip * stretch * half, half / stretch], plan.angle) + plan.centre

        outlines = [place(part) for part in shape.parts]
        corners = np.concatenate(outlines) if outlines else plan.centre + np.array([[-1.2], [1.2]]) * half
        low = np.floor(np.maximum(corners.min(0) - 3, 0)).astype(int)
        high = np.ceil(np.minimum(corners.max(0) + 3, side)).astype(int)
        width, height = high - low
        if width < 6 or height < 6:
            return None
        masks = []
        for points in outlines:
            mask = np.zeros((height, width), np.uint8)
            fill(mask, points - low)
            masks.append(np.minimum(mask, masks[0]) if shape.decals and masks else mask)
        if shape.letter:
            mask, thick = np.zeros((height, width), np.uint8), max(2, int(height * rng.uniform(0.06, 0.2)))
            at = int(width * 0.12), int(height * 0.82)
            cv2.putText(mask, shape.letter, at, int(rng.integers(0, 4)), height / 32, 255, thick, cv2.LINE_AA)
            masks.append(mask)
        hole = np.zeros((height, width), np.uint8)
        for points in shape.holes:
            fill(hole, place(points) - low)
        masks = [np.minimum(mask, 255 - hole) for mask in masks]
        whole = np.maximum.reduce(masks)
        return (low.tolist(), masks, whole) if (whole > 127).sum() >= 30 else None

    def surfaces(self, plan: Plan, masks: list[np.ndarray], patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The parts painted on `patch`, and which part is seen where."""
        rng, labels = self.rng, np.zeros(patch.shape[:2], np.int16)
        change = rng.uniform(0, 1) if plan.repeated else 1.0
        hidden = self.last.camouflage() if not self.plain and self.last and rng.random() < 0.08 else None
        for j, mask in enumerate(masks):
            material = plan.materials[j]
            if hidden:
                material = hidden
            elif j > 0 and rng.random() < 0.35:
                material = plan.materials[0]
            left, top, width, height = cv2.boundingRect(mask)
            if width == 0:
                continue
            window = np.s_[top : top + height, left : left + width]
            painted = material.paint(rng, height, width, self.side, change)
            patch[window] += (painted - patch[window]) * (mask[window] / np.float32(255))[..., None]
            number = len(self.scene.owner) + 1
            self.scene.owner[number] = len(self.scene.full) + 1
            labels[mask > 127] = number
        self.last = plan.materials[0]
        return patch, labels

    def shadow(self, whole: np.ndarray, left: int, top: int, size: float) -> None:
        """Cast on what is already there, away from the light and down."""
        rng, side, (height, width) = self.rng, self.side, whole.shape
        far = rng.uniform(0.01, 0.12) * size * side
        soft, dark = max(0.6, far * rng.uniform(0.15, 0.6)), rng.uniform(0.15, 0.65)
        x, y = left + int(far * math.cos(self.light)), top + int(abs(far * math.sin(self.light)))
        reach = int(far * 1.5) + 4
        x0, y0 = max(0, left - reach), max(0, top - reach)
        x1, y1 = min(side, left + width + reach), min(side, top + height + reach)
        shadow = np.zeros((y1 - y0, x1 - x0), np.float32)
        cx0, cy0, cx1, cy1 = max(x, x0), max(y, y0), min(x + width, x1), min(y + height, y1)
        if cx1 <= cx0 or cy1 <= cy0:
            return
        shadow[cy0 - y0 : cy1 - y0, cx0 - x0 : cx1 - x0] = whole[cy0 - y : cy1 - y, cx0 - x : cx1 - x] / np.float32(255)
        self.rgb[y0:y1, x0:x1] *= 1 - dark * cv2.GaussianBlur(shadow, (0, 0), soft)[..., None]

    def relief(self, patch: np.ndarray, mask: np.ndarray) -> None:
        """Shades the patch as if the mask were a dome under the scene's light; sometimes it shines."""
        rng = self.rng
        inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        depth = inside.max() + 1e-3
        rim = depth * rng.uniform(0.15, 1.0)
        height = np.sqrt(np.clip(1 - (1 - np.minimum(inside / rim, 1)) ** 2, 0, 1)) * rim
        height = cv2.GaussianBlur(height, (0, 0), max(0.7, depth * 0.12))
        gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125)
        gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
        flat = rng.uniform(0.5, 1.4)
        normal = flat / np.sqrt(gx**2 + gy**2 + flat**2)
        lit = normal * (0.75 - 0.8 * (gx * math.cos(self.light) + gy * math.sin(self.light)) / flat)
        patch *= (1 + rng.uniform(0.15, 0.9) * (lit - 0.75))[..., None]
        if rng.random() < 0.3:
            patch += (255 * rng.uniform(0.2, 0.9) * np.clip(lit, 0, 1.2) ** rng.uniform(12, 40))[..., None]


def background(rng: np.random.Generator, side: int) -> np.ndarray:
    """RGB f32 `[S, S, 3]`: a surface, often ground or walls, often clutter that is nobody's target."""
    rgb = Material.draw(rng).paint(rng, side, side, side)
    if rng.random() < 0.55:
        y = rng.uniform(0.25, 0.8)
        for _ in range(int(rng.integers(1, 4))):
            bend = [rng.uniform(0.2, 0.8), y + rng.normal(0, 0.06)]
            band = np.array([[0, y + rng.normal(0, 0.05)], bend, [1, y + rng.normal(0, 0.05)], [1, 1], [0, 1]])
            mask = np.zeros((side, side), np.uint8)
            fill(mask, band * side)
            rgb += (Material.draw(rng).paint(rng, side, side, side) - rgb) * (mask / np.float32(255))[..., None]
            y += rng.uniform(0.05, 0.4)
    if rng.random() < 0.45:
        rgb = np.ascontiguousarray(rgb)
        colours = [colour(rng) for _ in range(6)]
        for _ in range(int(rng.integers(10, 140))):
            radius = side * (0.02 * rng.pareto(1.6) + 0.008)
            axes = min(radius, side * 0.2), min(radius * rng.uniform(0.2, 1), side * 0.2)
            leaf = shapes.rotate(shapes.superellipse(rng, n=14) * axes, rng.uniform(0, 2 * math.pi))
            fill(rgb, leaf + rng.uniform(0, side, 2), (colours[int(rng.integers(6))] + rng.normal(0, 14, 3)).tolist())
        if rng.random() < 0.6:
            rgb = cv2.GaussianBlur(rgb, (0, 0), side * rng.uniform(0.002, 0.015))
    return np.ascontiguousarray(rgb, np.float32)


def _camera(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Uneven light, softness, exposure, white balance, gamma, grey, noise, JPEG → u8."""
    side = len(rgb)
    if rng.random() < 0.5:
        y, x = rng.integers(0, 480, 2)
        field_ = cv2.resize(bank()[0][y : y + 8, x : x + 8], (side, side), interpolation=cv2.INTER_CUBIC)
        rgb = rgb * (1 + rng.uniform(0, 0.22) * field_)[..., None]
    if rng.random() < 0.5:
        rgb = cv2.GaussianBlur(rgb, (0, 0), side / 224 * rng.uniform(0.3, 1.0))
    rgb = (rgb - 127) * rng.uniform(0.65, 1.2) + 127 + rng.normal(0, 14)
    rgb = np.clip(rgb * (1 + rng.normal(0, 0.06, 3)).astype(np.float32), 0, 255)
    if rng.random() < 0.5:
        rgb = 255 * (rgb / 255) ** rng.uniform(0.65, 1.5)
    if rng.random() < 0.15:
        rgb = rgb.mean(-1, keepdims=True) * 0.9 + rgb * 0.1
    if rng.random() < 0.7:
        rgb = rgb + rng.standard_normal(rgb.shape, np.float32) * rng.uniform(0, 11)
    pixels = np.clip(rgb, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))]
        pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], cv2.IMREAD_COLOR)
    return pixels
