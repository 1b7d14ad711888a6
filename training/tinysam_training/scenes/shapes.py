"""Outlines: families of shapes, each a list of polygons (parts, back to front) in about [-1, 1]², y down."""
import math
from dataclasses import dataclass, field

import numpy as np

Points = np.ndarray
TURN = 2 * math.pi


@dataclass
class Shape:
    """An object's outline: the union of its parts, less the holes."""

    parts: list[Points]
    kind: str
    decals: bool = False
    """The parts after the first are painted on it: clipped to it, and no part of the outline."""
    holes: list[Points] = field(default_factory=list)
    letter: str | None = None
    """A glyph instead of polygons."""

    @property
    def plain(self) -> bool:
        """One simple outline, which may be stretched freely."""
        return self.kind in ("blob", "polygon", "superellipse", "ring")


def rotate(points: Points, angle: float) -> Points:
    c, s = math.cos(angle), math.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def smooth(points: Points, times: int = 2) -> Points:
    """Chaikin's corner cutting, closed."""
    for _ in range(times):
        after = np.roll(points, -1, 0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1).reshape(-1, 2)
    return points


def blob(rng: np.random.Generator, n: int = 72, rough: float | None = None) -> Points:
    """A circle with random harmonics."""
    angle = np.linspace(0, TURN, n, endpoint=False)
    rough = rng.uniform(0.05, 0.42) if rough is None else rough
    fall, radius = rng.uniform(0.8, 1.8), np.ones(n)
    for k in range(2, 9):
        radius += rough / (k - 1) ** fall * rng.standard_normal() * np.cos(k * angle + rng.uniform(0, TURN))
    radius = np.clip(radius, 0.15, 2.2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def superellipse(rng: np.random.Generator, exponent: float | None = None, n: int = 64) -> Points:
    """Between a diamond (1), an ellipse (2) and a rectangle (10)."""
    if exponent is None:
        exponent = rng.choice([2, 2, rng.uniform(2.5, 10), rng.uniform(1.2, 2)])
    angle = np.linspace(0, TURN, n, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.sign(c) * abs(c) ** (2 / exponent), np.sign(s) * abs(s) ** (2 / exponent)], 1)


def lathe(rng: np.random.Generator, n: int = 24) -> Points:
    """What a lathe turns: bottles, vases, cups."""
    y, knots = np.linspace(-1, 1, n), int(rng.integers(3, 7))
    radius = np.interp(y, np.linspace(-1, 1, knots), rng.uniform(0.15, 0.9, knots))
    if rng.random() < 0.7:
        radius = np.convolve(np.pad(radius, 2, mode="edge"), np.ones(5) / 5, "valid")
    return np.concatenate([np.stack([radius, y], 1), np.stack([-radius, y], 1)[::-1]])


def polygon(rng: np.random.Generator) -> Points:
    n = int(rng.integers(3, 10))
    angle, radius = np.sort(rng.uniform(0, TURN, n)), rng.uniform(0.5, 1.2, n)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return smooth(points) if rng.random() < 0.4 else points


def capsule(line: Points, start: float, end: float) -> Points:
    """A thick line, tapered from radius `start` to `end`."""
    along = np.gradient(line, axis=0)
    along = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-6)
    aside = np.stack([-along[:, 1], along[:, 0]], 1) * np.linspace(start, end, len(line))[:, None]
    return np.concatenate([line + aside, line[-1:] + along[-1:] * end, (line - aside)[::-1]])


def curve(rng: np.random.Generator, start, angle: float, length: float, bend: float, n: int = 9) -> Points:
    t = np.linspace(0, 1, n)
    angles = angle + bend * t + rng.normal(0, 0.25) * np.sin(t * 3.1)
    return np.asarray(start) + np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1) * length / n, 0)


def body(rng: np.random.Generator) -> list[Points]:
    """An animal or a figure: limbs, trunk, head; sometimes tail, ears, trousers, hat."""
    parts, upright = [], rng.random() < 0.5
    wide, high = (rng.uniform(0.28, 0.5), rng.uniform(0.5, 0.75)) if upright else (rng.uniform(0.55, 0.9), rng.uniform(0.28, 0.5))
    trunk = blob(rng, 48, rng.uniform(0.03, 0.14)) * [wide, high]
    legs, lean = int(rng.integers(2, 6)), 0 if rng.random() < 0.5 else rng.normal(0, 0.3)
    for i in range(legs):
        hip = (i / max(1, legs - 1) - 0.5) * 1.6 * wide, high * 0.5
        length, radius = rng.uniform(0.4, 1.0), rng.uniform(0.06, 0.17)
        line = curve(rng, hip, math.pi / 2 + lean + rng.normal(0, 0.25), length, rng.normal(0, 0.5))
        parts.append(capsule(line, radius, radius * rng.uniform(0.5, 1.1)))
    if upright:
        for side in (-1, 1):
            if rng.random() < 0.85:
                radius, angle = rng.uniform(0.06, 0.14), math.pi / 2 - side * rng.uniform(-0.2, 1.9)
                line = curve(rng, (side * wide * 0.8, -high * 0.6), angle, rng.uniform(0.5, 1.0), rng.normal(0, 0.8))
                parts.append(capsule(line, radius, radius * 0.8))
    elif rng.random() < 0.6:
        line = curve(rng, (-wide * 0.9, -high * 0.2), math.pi + rng.normal(0, 0.7), rng.uniform(0.3, 0.9), rng.normal(0, 1))
        parts.append(capsule(line, rng.uniform(0.04, 0.1), 0.03))
    parts.append(trunk)
    if upright and rng.random() < 0.5:
        parts.append(superellipse(rng, 4) * [wide * 1.02, high * 0.35] + [0, high * 0.7])
    size = rng.uniform(0.16, 0.34)
    head = np.array([rng.normal(0, 0.06), -high - size * 0.6] if upright else [wide + size * 0.3, -high * rng.uniform(0.2, 1.1)])
    for side in (-1, 1):
        if not upright and rng.random() < 0.6:
            parts.append(superellipse(rng, 2) * [size * 0.3, size * 0.6] + head + [side * size * 0.6, -size * 0.8])
    parts.append(blob(rng, 32, 0.08) * size * [1, rng.uniform(0.8, 1.3)] + head)
    if rng.random() < 0.35:
        parts.append(superellipse(rng, 3) * [size * 1.05, size * 0.5] + head + [0, -size * 0.6])
    return parts


def vehicle(rng: np.random.Generator) -> list[Points]:
    """A hull with lights; often a cabin with windows; wheels."""
    parts, high = [], rng.uniform(0.3, 0.55)
    if rng.random() < 0.6:
        wide, at = rng.uniform(0.4, 0.8), rng.normal(0, 0.15)
        tops = -high - rng.uniform(0.3, 0.6), -high - rng.uniform(0.3, 0.6)
        cabin = np.array([[-wide, -high], [-wide * 0.7, tops[0]], [wide * 0.6, tops[1]], [wide, -high]]) + [at, 0.1]
        parts.append(smooth(cabin, 1))
        for side in (-1, 1):
            window = np.array([[-0.3, 0], [-0.22, -0.26], [0.22, -0.26], [0.3, 0]]) * wide
            parts.append(smooth(window + [at + side * wide * 0.36, 0.02 - high], 1))
    parts.append(superellipse(rng, rng.uniform(3, 9)) * [1, high])
    for _ in range(int(rng.integers(0, 5))):
        at = [rng.uniform(-0.8, 0.8), rng.uniform(-0.6, 0.4) * high]
        parts.append(superellipse(rng) * rng.uniform(0.05, 0.25, 2) + at)
    wheels, radius = int(rng.integers(0, 4)), rng.uniform(0.15, 0.3)
    for i in range(wheels):
        at = np.array([(i / (wheels - 1) - 0.5) * 1.3 if wheels > 1 else 0, high * 0.9])
        parts.append(superellipse(rng, 2) * radius + at)
        if rng.random() < 0.7:
            parts.append(superellipse(rng, 2) * radius * 0.55 + at)
    return parts


def furniture(rng: np.random.Generator) -> list[Points]:
    """Legs under a board; a back; things on it."""
    parts, wide, thick = [], rng.uniform(0.6, 1), rng.uniform(0.06, 0.3)
    for at in [-1, 1] if rng.random() < 0.5 else [-1, -0.55, 0.55, 1]:
        length = rng.uniform(0.5, 0.9)
        leg = np.array([[-0.05, 0], [0.05, 0], [0.04, length], [-0.04, length]]) * [rng.uniform(0.8, 2), 1]
        parts.append(leg + [at * wide * 0.92, 0])
    parts.append(superellipse(rng, 8) * [wide, thick])
    if rng.random() < 0.6:
        parts.append(superellipse(rng, rng.uniform(3, 9)) * [wide, rng.uniform(0.3, 0.6)] + [0, -0.5])
    for _ in range(int(rng.integers(0, 3))):
        at = [rng.uniform(-0.6, 0.6) * wide, rng.uniform(-0.6, 0)]
        parts.append(superellipse(rng) * rng.uniform(0.1, 0.35, 2) + at)
    return parts


def plant(rng: np.random.Generator) -> list[Points]:
    """Leaves from one root, sometimes in a pot."""
    parts = []
    for _ in range(int(rng.integers(5, 16))):
        angle = rng.uniform(-math.pi, 0) if rng.random() < 0.7 else rng.uniform(0, TURN)
        line, radius = curve(rng, (0, 0.1), angle, rng.uniform(0.5, 1.1), rng.normal(0, 0.7)), rng.uniform(0.04, 0.16)
        parts.append(smooth(np.concatenate([line[:1], capsule(line[2:], radius, radius * 0.2), line[:1]]), 1))
    if rng.random() < 0.6:
        parts.append(lathe(rng) * [0.35, 0.3] + [0, 0.4])
    return parts


def stick(rng: np.random.Generator) -> list[Points]:
    """Something long and thin, sometimes with a head."""
    radius = rng.uniform(0.03, 0.14)
    line = curve(rng, (-1, 0), rng.normal(0, 0.4), 2.2, rng.normal(0, 1.2), 20)
    parts = [capsule(line, radius, radius * rng.uniform(0.4, 1.2))]
    if rng.random() < 0.5:
        parts.append(blob(rng, 32) * rng.uniform(0.15, 0.4) + line[-1])
    return parts


GLYPHS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# (probability, kind, parts)
FAMILIES = [
    (0.17, "blob", lambda rng: [blob(rng)]),
    (0.08, "polygon", lambda rng: [polygon(rng)]),
    (0.11, "superellipse", lambda rng: [superellipse(rng)]),
    (0.08, "lathe", lambda rng: [lathe(rng)]),
    (0.22, "body", body),
    (0.09, "vehicle", vehicle),
    (0.06, "furniture", furniture),
    (0.05, "plant", plant),
    (0.06, "stick", stick),
    (0.04, "ring", lambda rng: [superellipse(rng)]),
    (0.04, "glyph", lambda _: []),
]


def draw(rng: np.random.Generator) -> Shape:
    """A shape of any family."""
    chosen = int(rng.choice(len(FAMILIES), p=[family[0] for family in FAMILIES]))
    _, kind, make = FAMILIES[chosen]
    shape = Shape(make(rng), kind)
    if kind == "glyph":
        shape.letter = GLYPHS[int(rng.integers(len(GLYPHS)))]
    if kind == "ring":
        shape.holes = [superellipse(rng) * rng.uniform(0.35, 0.85)]
    if kind in ("blob", "superellipse", "lathe", "polygon") and rng.random() < 0.6:
        shape.decals = True
        for _ in range(int(rng.integers(1, 6))):
            spot = blob(rng, 28) if rng.random() < 0.5 else superellipse(rng)
            shape.parts.append(spot * rng.uniform(0.06, 0.45, 2) + rng.uniform(-0.6, 0.6, 2))
    if kind == "blob" and rng.random() < 0.08:
        shape.holes = [blob(rng, 32) * 0.35]
    return shape
