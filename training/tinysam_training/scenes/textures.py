"""Surfaces: grey textures from a bank or a formula, colours, and materials that can be used again."""
import math
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

cv2.setNumThreads(1)
BANK_SIDE = 512


def power_noise(rng: np.random.Generator, side: int, exponent: float, stretch: float = 1.0) -> np.ndarray:
    """Tileable noise whose power falls as 1/f^exponent; stretched, it looks like fibre or grain."""
    spectrum = np.fft.rfftn(rng.standard_normal((side, side)).astype(np.float32))
    rows, columns = np.fft.fftfreq(side)[:, None] * stretch, np.fft.rfftfreq(side)[None]
    frequency = np.sqrt(rows**2 + columns**2)
    frequency[0, 0] = 1
    spectrum = spectrum / frequency ** (exponent / 2)
    spectrum[0, 0] = 0
    return np.fft.irfftn(spectrum, s=(side, side), axes=(0, 1)).astype(np.float32)


@cache
def bank(count: int = 40, seed: int = 7) -> tuple[np.ndarray, ...]:
    """`count` grey textures, `BANK_SIDE`², zero mean, unit deviation: always the same."""
    rng, side, made = np.random.default_rng(seed), BANK_SIDE, []
    for i in range(count):
        kind = i % 10
        if kind < 4:
            grey = power_noise(rng, side, rng.uniform(0.6, 3.2))
        elif kind < 6:
            grey = power_noise(rng, side, rng.uniform(1.0, 2.5), rng.uniform(3, 15))
        elif kind == 6:
            grey = _cells(rng, side)
        elif kind == 7:  # wrinkles
            grey = -np.abs(power_noise(rng, side, 2.4))
        elif kind == 8:  # patches: foliage, camouflage
            grey = power_noise(rng, side, rng.uniform(1.8, 3.0))
            grey = np.floor(grey / grey.std() * rng.uniform(0.8, 3)).astype(np.float32)
        else:
            grey = _leaves(rng, side)
        grey = (grey - grey.mean()) / (grey.std() + 1e-6)
        made.append(np.clip(grey, -3, 3).astype(np.float32))
    return tuple(made)


def _cells(rng: np.random.Generator, side: int) -> np.ndarray:
    """Distance to the nearest of many points."""
    mask = np.ones((side, side), np.uint8)
    at = rng.integers(0, side, (int(rng.integers(60, 900)), 2))
    mask[at[:, 0], at[:, 1]] = 0
    return cv2.distanceTransform(mask, cv2.DIST_L2, 3)


def _leaves(rng: np.random.Generator, side: int) -> np.ndarray:
    """Many small ellipses over each other."""
    grey = np.zeros((side, side), np.float32)
    for _ in range(1500):
        centre, radius = rng.integers(0, side, 2).tolist(), int(rng.integers(3, 22))
        axes = (radius, max(1, int(radius * rng.uniform(0.2, 1))))
        cv2.ellipse(grey, centre, axes, rng.uniform(0, 180), 0, 360, float(rng.standard_normal()), -1)
    return grey


def texture(rng: np.random.Generator, height: int, width: int, side: int) -> np.ndarray:
    """A grey patch `[height, width]` of about unit deviation, for a scene of `side`²."""
    source, kind = bank()[rng.integers(len(bank()))], rng.random()
    if kind < 0.72:
        return _crop(rng, source, height, width, side)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, wave = rng.uniform(0, math.pi), side * math.exp(rng.uniform(math.log(0.015), math.log(0.25)))
    along = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / wave)
    across = (y * math.cos(angle) - x * math.sin(angle)) * (2 * math.pi / wave)
    if rng.random() < 0.6:
        wobble = cv2.resize(source[:64, :64], (width, height)) * rng.uniform(0, 2)
        along, across = along + wobble, across + wobble
    if kind < 0.86:  # stripes, soft or hard
        grey = np.sin(along)
        grey = np.sign(grey + rng.uniform(-0.6, 0.6)) if rng.random() < 0.5 else grey
    elif kind < 0.93:  # checks
        grey = np.sign(np.sin(along) * np.sin(across))
    else:  # dots
        grey = (np.sin(along) * np.sin(across) > rng.uniform(0, 0.7)) * 2.0 - 0.5
    return grey.astype(np.float32)


def _crop(rng: np.random.Generator, source: np.ndarray, height: int, width: int, side: int) -> np.ndarray:
    scale = math.exp(rng.uniform(math.log(0.3), math.log(3.0))) * 224 / side  # of the bank's pixels to the scene's
    rows, columns = (min(BANK_SIDE, max(2, int(n * scale))) for n in (height, width))
    top, left = rng.integers(0, BANK_SIDE - rows + 1), rng.integers(0, BANK_SIDE - columns + 1)
    patch = source[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        patch = patch.T if rng.random() < 0.3 else patch[::-1]
    return cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)


def colour(rng: np.random.Generator) -> np.ndarray:
    """RGB 0…255: often grey, often the muted colours of skin, earth, leaves and sky, else anything."""
    kind = rng.random()
    if kind < 0.30:
        grey = rng.choice([rng.uniform(5, 60), rng.uniform(60, 200), rng.uniform(190, 252)])
        return (grey + rng.normal(0, 7, 3)).astype(np.float32)
    if kind < 0.68:
        hue = rng.choice([rng.normal(14, 6), rng.normal(45, 12), rng.normal(105, 10)]) % 180
        hsv = hue, rng.uniform(20, 150), rng.uniform(40, 240)
    else:
        hsv = rng.uniform(0, 180), rng.uniform(90, 255), rng.uniform(50, 255)
    return cv2.cvtColor(np.uint8([[hsv]]), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


@dataclass(frozen=True)
class Material:
    """What a surface looks like; painting it again gives it back with small changes."""

    base: np.ndarray
    second: np.ndarray
    seed: int
    grain: float
    """Amplitude of the texture, in steps of 255."""
    pattern: float
    """Share of the second colour where its texture is high."""
    gradient: float
    direction: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "Material":
        return Material(
            colour(rng), colour(rng), int(rng.integers(1 << 30)), float(abs(rng.standard_t(3)) * 11),
            float(rng.uniform(0.15, 0.9)) if rng.random() < 0.35 else 0.0,
            float(rng.exponential(22)), rng.uniform(0, 2 * math.pi),
        )  # fmt: skip

    def camouflage(self) -> "Material":
        """The same colours with another pattern."""
        return replace(self, seed=self.seed + 1)

    def plain(self) -> "Material":
        """One colour."""
        return replace(self, grain=0.0, pattern=0.0, gradient=0.0)

    def paint(self, rng: np.random.Generator, height: int, width: int, side: int, change: float = 1.0) -> np.ndarray:
        """RGB f32 `[height, width, 3]`, not clipped; `change` 0: exactly as before, 1: another piece of it."""
        own = np.random.default_rng(self.seed if change < 0.5 else self.seed + int(rng.integers(9999)))
        grain = texture(own, height, width, side) if self.grain > 0 else np.zeros((height, width), np.float32)
        rgb = np.tile((self.base + rng.normal(0, 6, 3) * change).astype(np.float32), (height, width, 1))
        if self.pattern > 0:
            share = np.clip(texture(own, height, width, side) * 0.8 + 0.3, 0, 1)[..., None] * self.pattern
            rgb = rgb * (1 - share) + self.second * share
        rgb += (grain * self.grain)[..., None] * (1 + 0.15 * own.standard_normal(3))
        if self.gradient > 4:
            across = np.linspace(-1, 1, width)[None] * math.cos(self.direction)
            rgb += ((across + np.linspace(-1, 1, height)[:, None] * math.sin(self.direction)) * self.gradient)[..., None]
        return rgb.astype(np.float32)
