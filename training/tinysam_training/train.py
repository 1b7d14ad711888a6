"""The training loop: time-boxed, and resumable at any moment from one file.

The schedule is a function of the time spent over the time given, so the same command line continues a run that was
stopped, and a longer time given continues one that had ended.
"""
import json
import math
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import source
from .album import Album, entries
from .batch import Batch
from .compose import composed, make_bank
from .curriculum import CURRICULA, Stage, locate, takes_photos
from .export import open_weights
from .losses import Affinity, Outcome, mask_loss
from .model import TinySam
from .muon import Muon, is_matrix

EMA_DECAY = 0.999
WARM_UP = 30
"""Steps over which the learning rate rises, at the start of the run and where the encoder joins."""


@dataclass
class Options:
    """Of a run; the command line's."""

    out: Path
    minutes: float
    curriculum: str = "cpu"
    device: str = "cpu"
    seed: int = 1
    workers: int = 1
    save_minutes: float = 3.0
    weights: Path | None = None
    """A checkpoint to begin with, instead of from nothing: the warm-up is left out then."""
    photos: Path | None = None
    """The folder of the photographs, for the curricula that take them."""
    compose: bool = False
    """Compose scenes on the device, of sprites that the workers make at the start of each stage. A stage with
    photographs has all its pictures from the workers."""
    bf16: bool = False
    """The network in bf16; weights, losses and the optimiser stay f32."""
    sprites: int = 12288
    sprite_side: int = 256


@dataclass
class Progress:
    """What the schedule and the data depend on."""

    seconds: float = 0.0
    step: int = 0
    images: int = 0
    batches: int = 0
    """Drawn from the generator: the number of the next."""
    joint_steps: int = 0
    """Steps since the encoder joined."""


class Ema:
    """The weights' moving average, BatchNorm's statistics included: what is evaluated and exported."""

    def __init__(self, model: nn.Module):
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        keep = min(EMA_DECAY, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)


def optimisers(model: TinySam, affinity: Affinity) -> list[torch.optim.Optimizer]:
    """Muon for matrices; AdamW for the rest, which does not decay."""
    matrices, rest = [], []
    for value in [*model.parameters(), *affinity.parameters()]:
        (matrices if is_matrix(value) else rest).append(value)
    adam = torch.optim.AdamW(rest, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    return [Muon(matrices, lr=0.0, weight_decay=0.02), adam]


class Clock:
    """The time of each step, as the schedule counts it. A process that was halted for a while has not trained, nor has one
    that others left no processor: a step counts for a minute at most, and on a processor for what that has worked."""

    def __init__(self, device: torch.device):
        self.cpu = device.type == "cpu"
        self.then = self.now()

    def now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time() if self.cpu else math.inf

    def step(self) -> float:
        (wall, worked), then = self.now(), self.then
        self.then = wall, worked
        return min(wall - then[0], worked - then[1] if self.cpu else math.inf, 60.0)


class Run:
    """A run and everything that resuming needs."""

    def __init__(self, options: Options):
        self.options, self.device = options, torch.device(options.device)
        self.stages = CURRICULA[options.curriculum]
        if takes_photos(options.curriculum) != (options.photos is not None):
            raise SystemExit("--photos FOLDER and a curriculum of photographs go together: give both or neither")
        self.album = Album(options.photos, entries("train")) if options.photos else None
        # A seventh of a step on a processor: saturated sigmoids and their gradients are full of denormal numbers. Before
        # anything is computed, for threads inherit it when they begin.
        torch.set_flush_denormal(True)
        torch.manual_seed(options.seed)
        self.model = TinySam().to(self.device, memory_format=torch.channels_last).train()
        self.affinity = Affinity().to(self.device)
        self.optimisers = optimisers(self.model, self.affinity)
        self.ema, self.progress, self.stopping = Ema(self.model), Progress(), False
        options.out.mkdir(parents=True, exist_ok=True)
        self.file = options.out / "run.pt"
        if self.file.exists():
            self.load()
        elif options.weights is not None:
            self.begin_with(options.weights)
        self.log = (options.out / "log.jsonl").open("a")

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(), "affinity": self.affinity.state_dict(), "ema": self.ema.state,
            "ema_updates": self.ema.updates, "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "progress": asdict(self.progress), "curriculum": self.options.curriculum, "seed": self.options.seed,
            "random": torch.get_rng_state(),
        }  # fmt: skip
        _write(state, self.file)

    def load(self) -> None:
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        if (state["curriculum"], state["seed"]) != (self.options.curriculum, self.options.seed):
            raise SystemExit(f"{self.file} is of another curriculum or seed: choose another folder")
        self.model.load_state_dict(state["model"])
        self.affinity.load_state_dict(state["affinity"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.ema.state, self.ema.updates = state["ema"], state["ema_updates"]
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["random"].cpu())
        print(f"resumed at step {self.progress.step}, {self.progress.seconds:.0f} s", flush=True)

    def begin_with(self, weights: Path) -> None:
        self.model.load_weights(open_weights(weights).state_dict())
        self.model.to(self.device)
        self.ema = Ema(self.model)
        warm_up = sum(stage.share for stage in self.stages if not stage.encoder)
        # A little more, for a product may be rounded to just below the stage's end.
        self.progress.seconds = 60 * self.options.minutes * (warm_up + 1e-6)

    def train(self) -> None:
        """Until the time is spent or SIGTERM or SIGINT comes; both end with a saved file."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopping", True))
        budget, progress, saved, clock = 60 * self.options.minutes, self.progress, self.progress.seconds, Clock(self.device)
        stage_number, batches, averages = None, None, Averages()
        while progress.seconds < budget and not self.stopping:
            now, part = locate(self.stages, progress.seconds / budget)
            if now != stage_number:
                stage_number, batches = now, self.batches(self.stages[now])
            stage = self.stages[stage_number]
            batch = next(batches).to(self.device)
            averages.add(self.step(stage, part, batch))
            progress.step, progress.batches = progress.step + 1, progress.batches + 1
            if stage.encoder:
                progress.images, progress.joint_steps = progress.images + len(batch.pixels), progress.joint_steps + 1
            progress.seconds += clock.step()
            if progress.step % 20 == 0:
                line = {"stage": stage.name, **asdict(progress), **averages.take()}
                line["seconds"] = round(progress.seconds, 1)
                self.log.write(json.dumps(line) + "\n")
                self.log.flush()
                print(line, flush=True)
            if progress.seconds - saved > 60 * self.options.save_minutes:
                saved = progress.seconds
                self.save()
        self.save()

    def batches(self, stage: Stage):
        options, first = self.options, self.progress.batches
        if not stage.encoder:
            return source.shapes(stage, options.seed, first)
        if options.compose and stage.photos == 0:
            number = self.stages.index(stage)
            bank = make_bank(
                options.seed, number, self.device, options.sprites, options.sprite_side, options.workers
            )
            return composed(bank, stage, options.seed, first)
        return source.pictures(stage, options.seed, first, options.workers, self.album)

    def rate(self, stage: Stage, part: float) -> float:
        since = self.progress.joint_steps if stage.encoder else self.progress.step
        return stage.at("rate", part) * min(1.0, (since + 1) / WARM_UP)

    def step(self, stage: Stage, part: float, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; returns what to log."""
        groups = [group for optimiser in self.optimisers for group in optimiser.param_groups]
        for group in groups:
            group["lr"] = self.rate(stage, part)
        truth, balanced = batch.masks.flatten(0, 1).float() / 255, stage.at("balanced", part)
        coords, labels = batch.coords.flatten(0, 1), batch.labels.flatten(0, 1)
        bf16 = torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16)
        with bf16:
            embedding, dense = self.embed(stage, part, batch)
            logits, scores = self.model.decode(embedding, coords, labels)
        outcome = mask_loss(logits, scores, truth, balanced, batch.boxes)
        total = outcome.loss.mean() + stage.at("affinity", part) * dense
        if stage.correction > 0 and torch.rand(()) < stage.correction:
            mask, point, label = worst_click(logits, outcome, truth, stage.side)
            with bf16:
                second = self.model.decode(
                    embedding, torch.cat([coords, point], 1), torch.cat([labels, label], 1), mask
                )
            total = total + mask_loss(*second, truth, balanced, torch.ones_like(batch.boxes)).loss.mean()
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_([weight for group in groups for weight in group["params"]], 1.0)
        if torch.isfinite(norm):
            for optimiser in self.optimisers:
                optimiser.step()
        self.ema.update(self.model)
        best, chosen, boxes = outcome.of_best(), outcome.of_chosen(), batch.boxes
        return {
            "loss": outcome.loss.mean(), "box_best": best[boxes].mean(), "point_best": best[~boxes].mean(),
            "box": chosen[boxes].mean(), "point": chosen[~boxes].mean(), "score_error": outcome.score_error.mean(),
            "affinity": dense, "gradient": norm,
        }  # fmt: skip

    def embed(self, stage: Stage, part: float, batch: Batch) -> tuple[Tensor, Tensor]:
        """The embedding, and its affinity loss; in the warm-up noise, more and more of it, and none."""
        if not stage.encoder:
            noise = torch.randn(1, 256, stage.side // 16, stage.side // 16, device=self.device) * 0.7 * part
            return noise, noise.new_zeros(())
        embedding = self.model.encode(batch.pixels)
        return embedding, self.affinity(embedding, batch.objects)


def replace_average(run: Path, model: TinySam) -> None:
    """The moving average in a run's file becomes the model's weights."""
    state = torch.load(run, map_location="cpu", weights_only=True)
    state["ema"] = model.state_dict()
    _write(state, run)


def _write(state: dict, file: Path) -> None:
    """As a whole or not at all."""
    draft = file.with_suffix(".draft")
    torch.save(state, draft)
    os.replace(draft, file)


@torch.no_grad()
def worst_click(logits: Tensor, outcome: Outcome, truth: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best mask's logits `[N, 1, h, h]`, and a click `[N, 1, 2]` with its label `[N, 1]` where that mask errs."""
    mask = logits.gather(1, outcome.best.view(-1, 1, 1, 1).expand(-1, 1, *logits.shape[-2:])).float()
    ours = F.interpolate(mask, truth.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
    wrong = (ours != (truth > 0.5)).flatten(1).float() + 1e-6
    at = torch.multinomial(wrong, 1)
    width = truth.shape[-1]
    point = torch.stack([at % width, at // width], -1)
    label = (truth.flatten(1).gather(1, at) > 0.5).long()
    return mask, (point + 0.5) * (side / width) - 0.5, label


class Averages:
    """Means of what steps report, without those that have no value (a batch without boxes)."""

    def __init__(self):
        self.sums, self.counts, self.since, self.steps = {}, {}, time.monotonic(), 0

    def add(self, values: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in values.items():
            value = float(value)
            if math.isfinite(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """And begins anew."""
        means = {name: round(total / self.counts[name], 4) for name, total in self.sums.items()}
        means["step_seconds"] = round((time.monotonic() - self.since) / self.steps, 3)
        self.__init__()
        return means
