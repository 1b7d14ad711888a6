"""Scenes composed on the device, so that a GPU does not wait for processors: sprites and backgrounds that the
processors made (`scenes.sprites`) are turned, stretched, recoloured and laid over each other. Less than the scenes of
`scenes`: no JPEG, and shading that does not follow the scene's light."""
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batch import Batch
from .curriculum import Stage
from .scenes import sprites

PART = 256
"""Labels are object · PART + part."""


@dataclass
class Bank:
    rgb: Tensor
    cover: Tensor
    part: Tensor
    behind: Tensor


def make_bank(seed: int, stage: int, device: torch.device, count: int, side: int, workers: int) -> Bank:
    """`count` sprites of `side`², a function of the seed and the stage's number; made by `workers` processes."""
    portion = 32
    jobs = [[seed, stage, i] for i in range(math.ceil(count / portion))]
    if workers == 0:
        made = [sprites.bank(job, side, portion) for job in jobs]
    else:
        # Not forked: this process may hold a GPU.
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            made = list(pool.map(sprites.bank, jobs, [side] * len(jobs), [portion] * len(jobs)))
    return Bank(*(torch.from_numpy(np.concatenate(part)).to(device) for part in zip(*made)))


class Composer:
    """Random choices for B scenes at a time, all from one generator."""

    def __init__(self, bank: Bank, side: int, batch: int, random: torch.Generator):
        self.bank, self.side, self.batch, self.random = bank, side, batch, random
        self.device = bank.rgb.device

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.device, generator=self.random)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, generator=self.random)

    def below(self, n: int, *shape: int) -> Tensor:
        return torch.randint(n, shape, device=self.device, generator=self.random)

    def recolour(self, rgb: Tensor) -> Tensor:
        """Mixes channels, gains and shifts, each image its own way; `rgb [B, 3, h, w]` in [0, 1]."""
        mix = torch.eye(3, device=self.device) + 0.18 * self.normal(self.batch, 3, 3)
        rgb = torch.einsum("bij,bjhw->bihw", mix, rgb - 0.45) * (0.6 + 0.8 * self.uniform(self.batch, 1, 1, 1))
        return (rgb + 0.45 + 0.15 * self.normal(self.batch, 3, 1, 1)).clamp(0, 1)

    def sampled(self, images: Tensor, grid: Tensor, mode: str = "bilinear", padding: str = "zeros") -> Tensor:
        return F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=False)

    def backgrounds(self) -> Tensor:
        b, side = self.batch, self.side
        zoom = 0.4 + 0.6 * self.uniform(b)
        affine = torch.zeros(b, 2, 3, device=self.device)
        affine[:, 0, 0], affine[:, 1, 1] = zoom, zoom
        affine[:, :, 2] = (self.uniform(b, 2) * 2 - 1) * (1 - zoom)[:, None]
        chosen = self.bank.behind[self.below(len(self.bank.behind), b)].float() / 255
        grid = F.affine_grid(affine, (b, 3, side, side), align_corners=False)
        return self.recolour(self.sampled(chosen, grid, padding="reflection"))

    def scenes(self, easy: float, plain: float) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1] `[B, 3, S, S]` and labels i32 `[B, S, S]`, 0 for the background."""
        b, side, layers = self.batch, self.side, round(18 - 9 * easy)
        flat = (self.uniform(b) < plain).view(b, 1, 1, 1)
        rgb = self.backgrounds()
        rgb = torch.where(flat, rgb.mean((2, 3), keepdim=True), rgb)
        labels = torch.zeros(b, side, side, dtype=torch.int32, device=self.device)
        counts = 3 + self.below(layers - 2, b)
        smallest = 0.10 + 0.12 * easy
        sizes = 1 / (1 / smallest + self.uniform(b, layers) * (1 / 0.9 - 1 / smallest))
        sizes = sizes.sort(1, descending=True)[0]
        light, kind = self.uniform(b) * 2 * math.pi, self.below(len(self.bank.rgb), b)
        for layer in range(layers):
            # One in five is of the kind before it, so that the like stands beside the like.
            kind = torch.where(self.uniform(b) < 0.2, kind, self.below(len(self.bank.rgb), b))
            grid = self.placement(sizes[:, layer])
            there = (layer < counts).float().view(b, 1, 1, 1)
            whole, painted = self.bank.cover[kind][:, None].float() / 255, self.bank.rgb[kind].float() / 255
            colour = (painted * whole).sum((2, 3), keepdim=True) / whole.sum((2, 3), keepdim=True)
            painted = torch.where(flat, colour, painted)
            cover = self.sampled(whole, grid) * there
            painted = self.sampled(painted, grid, padding="border")
            rgb = rgb * (1 - self.shadow(cover, sizes[:, layer], light) * ~flat)
            rgb = rgb + (self.recolour(painted) - rgb) * cover
            part = self.sampled(self.bank.part[kind][:, None].float(), grid, "nearest")[:, 0].to(torch.int32)
            labels = torch.where(cover[:, 0] > 0.5, part + PART * (layer + 1), labels)
        return torch.where(flat, rgb, self.camera(rgb)), labels

    def placement(self, size: Tensor) -> Tensor:
        """Where each pixel of the scene lies on a sprite that is turned, stretched and moved."""
        b = self.batch
        angle = torch.where(self.uniform(b) < 0.6, 0.3 * self.normal(b), 2 * math.pi * self.uniform(b))
        width, height = (size * 1.5 * torch.exp(0.25 * self.normal(b)) for _ in range(2))
        flip = (self.uniform(b) < 0.5).float() * 2 - 1
        c, s, centre = angle.cos(), angle.sin(), self.uniform(b, 2) * 2 - 1
        rows = torch.stack([c / width * flip, s / width * flip], 1), torch.stack([-s / height, c / height], 1)
        turn = torch.stack(rows, 1)
        affine = torch.cat([turn, -turn @ centre[:, :, None]], 2)
        return F.affine_grid(affine, (b, 1, self.side, self.side), align_corners=False)

    def shadow(self, cover: Tensor, size: Tensor, light: Tensor) -> Tensor:
        """How much darker it gets, at a quarter of the resolution: `[B, 1, S, S]`."""
        b = self.batch
        small = F.avg_pool2d(F.interpolate(cover, scale_factor=0.25, mode="area"), 5, 1, 2)
        small = F.avg_pool2d(small, 5, 1, 2)
        far = size * 0.15 * self.uniform(b)
        affine = torch.zeros(b, 2, 3, device=self.device)
        affine[:, 0, 0], affine[:, 1, 1] = 1, 1
        affine[:, 0, 2], affine[:, 1, 2] = -far * light.cos(), -far * light.sin().abs()
        grid = F.affine_grid(affine, (b, 1, self.side, self.side), align_corners=False)
        dark = 0.6 * self.uniform(b) * (self.uniform(b) < 0.6)
        return self.sampled(small, grid) * dark.view(b, 1, 1, 1)

    def camera(self, rgb: Tensor) -> Tensor:
        """Softness, gamma, noise."""
        b = self.batch
        soft = self.uniform(b, 1, 1, 1)
        rgb = soft * F.avg_pool2d(F.pad(rgb, (1, 1, 1, 1), mode="reflect"), 3, 1) + (1 - soft) * rgb
        rgb = rgb.clamp(1e-3, 1) ** torch.exp(0.3 * self.normal(b, 1, 1, 1))
        return (rgb + 0.04 * self.uniform(b, 1, 1, 1) * self.normal(*rgb.shape)).clamp(0, 1)

    def letterbox(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """u8 pixels, in three of four with padding right or below."""
        b, side = self.batch, self.side
        kept = torch.where(self.uniform(b) < 0.75, (0.55 + 0.45 * self.uniform(b)) * side, side)
        place = torch.arange(side, device=self.device)
        inside = (place[None] < kept[:, None])[:, :, None].expand(b, side, side)
        inside = torch.where((self.uniform(b) < 0.25).view(b, 1, 1), inside.transpose(1, 2), inside)
        mean = torch.tensor([124, 116, 104], device=self.device).view(1, 3, 1, 1)
        pixels = torch.where(inside[:, None], (pixels * 255).round(), mean).to(torch.uint8)
        return pixels, labels * inside

    def prompts(self, labels: Tensor, count: int, easy: float) -> tuple[Tensor, Tensor, Tensor]:
        """What is meant, bool `[B, P, S, S]`; coordinates `[B, P, 2, 2]`; labels `[B, P, 2]`."""
        b, side, p = self.batch, self.side, count
        objects = labels // PART
        area = torch.zeros(b, PART, device=self.device)
        area.scatter_add_(1, objects.flatten(1).long(), torch.ones(b, side * side, device=self.device))
        area[:, 0] = 0
        enough = (0.0025 + 0.0075 * easy) * side * side
        weight = torch.where(area >= enough, area.sqrt(), 1e-6 * (area > 0)) + 1e-12
        chosen = torch.multinomial(weight, p, True, generator=self.random)
        mask = objects[:, None] == chosen[:, :, None, None]
        at = self.inside(mask)
        part = labels.flatten(1).gather(1, at)
        of_part = labels[:, None] == part[:, :, None, None]
        want = (self.uniform(b, p) < 0.18 * (1 - easy)) & (of_part.flatten(2).sum(-1) >= enough)
        mask = torch.where(want[:, :, None, None], of_part, mask)
        point = torch.stack([at % side, at // side], -1).float()
        point = torch.stack([point, torch.zeros_like(point)], 2)
        box = (self.uniform(b, p) < 0.5)[..., None]
        kinds = torch.where(box, torch.tensor([2, 3], device=self.device), torch.tensor([1, -1], device=self.device))
        return mask, torch.where(box[..., None], self.boxes(mask), point), kinds

    def inside(self, mask: Tensor) -> Tensor:
        """A random place of each mask `[B, P, S, S]`, half of the time deep inside, as a flat index `[B, P]`."""
        side = self.side
        kernel = 2 * (side // 30) + 1
        deep = F.interpolate(F.avg_pool2d(mask.float(), kernel, 4, kernel // 2), (side, side))
        pull = (self.uniform(*mask.shape[:2], 1, 1) < 0.5).float() * 3 * deep**2
        return (mask * (self.uniform(*mask.shape) + pull + 1e-3)).flatten(2).argmax(-1)

    def boxes(self, mask: Tensor) -> Tensor:
        """Corners `[B, P, 2, 2]`, most of them as a hand would draw them."""
        b, p, side, _ = mask.shape
        place = torch.arange(side, device=self.device)

        def span(filled: Tensor) -> tuple[Tensor, Tensor]:
            return torch.where(filled, place, side).amin(-1), torch.where(filled, place, -1).amax(-1) + 1

        (x0, x1), (y0, y1) = span(mask.any(2)), span(mask.any(3))
        corners = torch.stack([torch.stack([x0, y0], -1), torch.stack([x1, y1], -1)], 2).float()
        extent = (corners[:, :, 1] - corners[:, :, 0])[:, :, None]
        slip = (0.05 * self.normal(b, p, 2, 2) * extent).clamp(-0.02 * side, 0.02 * side)
        return (corners + slip * (self.uniform(b, p, 1, 1) < 0.75)).clamp(0, side)


@torch.no_grad()
def compose(bank: Bank, stage: Stage, random: torch.Generator) -> Batch:
    """One batch, on the bank's device; a function of the bank and the generator's state."""
    composer = Composer(bank, stage.side, stage.batch, random)
    pixels, labels = composer.letterbox(*composer.scenes(stage.easy, stage.plain))
    masks, coords, kinds = composer.prompts(labels, stage.prompts, stage.easy)
    masks = (F.avg_pool2d(masks.float(), 2) * 255).to(torch.uint8)
    return Batch(pixels, masks, coords, kinds, (labels // PART)[:, 2::4, 2::4].contiguous())


def composed(bank: Bank, stage: Stage, seed: int, first: int):
    """Batches from batch number `first` on, each a function of the bank, the seed and its number."""
    random = torch.Generator(bank.rgb.device)
    for number in range(first, 1 << 40):
        random.manual_seed((seed << 40) + number)
        yield compose(bank, stage, random)
