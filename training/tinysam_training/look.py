"""Pictures of what clicks and boxes give, to be judged by eye."""
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from .frame import Frame, open_rgb
from .golden import tokens_of
from .model import TinySam


@torch.no_grad()
def overlay(model: TinySam, photo: Path, side: int, points=(), box=None, width: int = 320) -> tuple[Image.Image, float]:
    """The photo with the best-scored mask tinted and outlined, the prompt drawn, and the score; `width` pixels wide."""
    rgb = open_rgb(photo)
    frame = Frame((rgb.shape[1], rgb.shape[0]), side)
    tokens = tokens_of(frame, points, [1] * len(points), box)
    logits, scores = model.decode(model.encode(frame.input(rgb)), *tokens)
    best = int(scores.argmax())
    mask = (frame.upscale(logits)[0, best] > 0).numpy().astype(np.uint8)
    shown = rgb.copy()
    shown[mask > 0] = shown[mask > 0] * 0.5 + np.array([0, 90, 255]) * 0.5
    thick = max(2, rgb.shape[1] // 200)
    cv2.drawContours(shown, cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0], -1, (255, 255, 255), thick)
    for x, y in points:
        cv2.circle(shown, (int(x), int(y)), 4 * thick, (255, 255, 255), -1)
        cv2.circle(shown, (int(x), int(y)), 3 * thick, (0, 160, 60), -1)
    if box is not None:
        cv2.rectangle(shown, [int(v) for v in box[:2]], [int(v) for v in box[2:]], (255, 200, 0), thick)
    image = Image.fromarray(shown)
    return image.resize((width, round(width * image.height / image.width))), float(scores[0, best])


CELL = (300, 220)


def sheet(model: TinySam, side: int, folder: Path, prompts: dict[str, dict]) -> tuple[Image.Image, list[str]]:
    """The card's picture: a column for each photo of `folder` that `prompts` names, its click above, its box below;
    and a line for each with the score."""
    whole, told = Image.new("RGB", (CELL[0] * len(prompts), CELL[1] * 2), "white"), []
    for column, (name, prompt) in enumerate(prompts.items()):
        for row, how in enumerate(({"points": [prompt["point"]]}, {"box": prompt["box"]})):
            image, score = overlay(model, folder / name, side, **how, width=2 * CELL[0])
            image.thumbnail((CELL[0] - 4, CELL[1] - 4))
            whole.paste(
                image, (column * CELL[0] + (CELL[0] - image.width) // 2, row * CELL[1] + (CELL[1] - image.height) // 2)
            )
            told.append(f"{name}, {next(iter(how))}: predicted IoU {score:.2f}")
    return whole, told
