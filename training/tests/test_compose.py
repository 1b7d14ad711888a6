"""Scenes composed on the device, here the processor."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from tinysam_training.compose import composed, make_bank
from tinysam_training.curriculum import Stage
from tinysam_training.scenes.sprites import sprite
from tinysam_training.train import Options, Run

STAGE = Stage("test", 1.0, 128, 3, 6, (1e-3, 0.0))


@pytest.fixture(scope="module")
def bank():
    return make_bank(1, 0, torch.device("cpu"), 32, 96, workers=0)


def test_sprites_lie_whole_on_their_squares():
    for seed in range(5):
        rgb, cover, part = sprite(np.random.default_rng(seed), 96)
        assert rgb.shape == (96, 96, 3) and not cover[[0, -1]].any() and not cover[:, [0, -1]].any()
        assert (part[cover > 127] > 0).all() and not part[cover <= 127].any()


def test_workers_make_the_same_bank(bank):
    again = make_bank(1, 0, torch.device("cpu"), 32, 96, workers=1)
    assert torch.equal(again.rgb, bank.rgb) and torch.equal(again.behind, bank.behind)


def test_plain_scenes_have_a_colour_for_each_object(bank):
    batch = next(composed(bank, replace(STAGE, easy=1.0, plain=1.0), 1, 0))
    for pixels, objects in zip(batch.pixels, batch.objects):
        for number in objects.unique():
            inside = pixels[:, 2::4, 2::4][:, objects == number].float()
            # But for edges and the padding, which counts as background.
            middle = inside.median(1).values[:, None]
            assert number == 0 or ((inside - middle).abs() <= 2).all(0).float().mean() > 0.5


def test_batches_are_functions_of_their_number(bank):
    a, b = composed(bank, STAGE, 1, 0), composed(bank, STAGE, 1, 1)
    next(a)
    x, y = next(a), next(b)
    assert all(torch.equal(getattr(x, n), getattr(y, n)) for n in x.__dataclass_fields__)
    assert not torch.equal(x.pixels, next(a).pixels)


@pytest.mark.parametrize("easy", [0.0, 1.0])
def test_prompts_mean_their_masks(bank, easy):
    stage = Stage("test", 1.0, 128, 3, 6, (1e-3, 0.0), easy=easy)
    batch = next(composed(bank, stage, 2, 0))
    assert batch.pixels.shape == (3, 3, 128, 128) and batch.pixels.dtype == torch.uint8
    assert batch.masks.shape == (3, 6, 64, 64) and batch.objects.shape == (3, 32, 32)
    for masks, coords, labels in zip(batch.masks, batch.coords, batch.labels):
        for mask, at, label in zip(masks.numpy(), coords.numpy(), labels.tolist()):
            ys, xs = np.nonzero(mask)
            assert len(ys) > 0
            if label == [2, 3]:
                low, high = np.array([xs.min(), ys.min()]) * 2, np.array([xs.max(), ys.max()]) * 2 + 2
                assert (abs(at[0] - low) <= 0.02 * 128 + 2).all() and (abs(at[1] - high) <= 0.02 * 128 + 2).all()
            else:
                assert label == [1, -1]
                x, y = at[0].astype(int) // 2
                assert mask[y, x] > 0


def test_a_run_trains_on_them(tmp_path):
    options = Options(tmp_path, 0.04, "tiny", workers=0, compose=True, sprites=32, sprite_side=96)
    run = Run(options)
    run.train()
    assert run.progress.images > 0 and Run(options).progress == run.progress
