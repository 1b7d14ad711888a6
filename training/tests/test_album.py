"""Photographs with object masks: the manifest, what an album draws, crops, prompts, batches, a run."""
import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from tinysam_training.album import Album, entries, faults, sample
from tinysam_training.album.album import UNKNOWN, Shot, _map
from tinysam_training.album.augment import cropped, pasted
from tinysam_training.album.manifest import MANIFEST
from tinysam_training.album.sample import click
from tinysam_training.choice import Examples, examples, teach
from tinysam_training.curriculum import CURRICULA, Stage
from tinysam_training.model import TinySam
from tinysam_training.scenes.prompts import PAD
from tinysam_training.source import pictures
from tinysam_training.train import Options, Run

from conftest import objects_map


@pytest.fixture
def album(small_manifest) -> Album:
    return Album(small_manifest, entries("train"))


def test_the_manifest_tells_all_of_each_photo():
    told = json.loads(MANIFEST.read_text())
    photos, sources = told["photos"], told["sources"]
    assert len({photo["id"] for photo in photos}) == len({photo["image"] for photo in photos}) == len(photos)
    for photo in photos:
        both = sources[photo["source"]] | photo
        assert all(both[name] for name in ("repo", "commit", "path", "licence", "masks", "assurance")), photo["id"]
        assert len(photo["sha256"]) == 64 and photo.get("split", "train") in ("train", "val")
    train, val = entries("train"), entries("val")
    assert len(train) + len(val) == len(photos) and not {e.id for e in train} & {e.id for e in val}
    assert all(entry.kind == "objects" and entry.label for entry in val)


def test_a_folder_is_compared_with_the_manifest(small_manifest, tmp_path):
    held = entries("train") + entries("val")
    assert [entry.id for entry in held] == ["a", "b", "c", "d", "e"] and faults(small_manifest, held) == []
    copy = tmp_path / "set"
    shutil.copytree(small_manifest, copy)
    (copy / "open/parts/b.png").unlink()
    (copy / "open/labels/c.png").write_bytes(b"other")
    missing, other = faults(copy, held)
    assert missing.startswith("b ") and "parts/b.png missing" in missing and other.startswith("c ")
    with pytest.raises(ValueError, match="b.png is missing"):
        Album(copy, held)


def test_what_is_not_labelled_is_unknown_and_borders_are_shared(album):
    drawn = objects_map(40, (255, 8, 8, 32, 32), (1, 12, 12, 28, 28))  # a border of 4 pixels
    drawn[36:] = 255
    drawn[:, :2] = 2
    png = cv2.imencode(".png", drawn)[1].tobytes()
    known, unknown = _map(png, True), _map(png, False)
    assert known[20, 11] == 1 and known[20, 8] == 0 and known[0, 20] == 0
    assert unknown[20, 8] == UNKNOWN and unknown[20, 11] == 1 and unknown[20, 0] == 2
    region = _map(cv2.imencode(".png", objects_map(40, (255, 0, 0, 30, 40), (1, 30, 0, 40, 40)))[1].tobytes(), True)
    assert region[20, 10] == UNKNOWN and region[20, 28] == 1
    kinds = {(shot.objects.max(), shot.parts is None) for shot in (album.scene(np.random.default_rng(i)) for i in range(40))}
    assert kinds == {(7, True), (1, False), (UNKNOWN, True)}  # no cutout stands alone
    assert all(album.labelled(np.random.default_rng(i)).objects.max() > 0 for i in range(40))


def test_photos_come_as_often_as_they_have_objects(album):
    rng = np.random.default_rng(0)
    drawn = [int(album.scene(rng).objects.max()) for _ in range(600)]
    for last, share in ((7, 1 / 2), (1, 1 / 4), (UNKNOWN, 1 / 4)):  # of two objects, of one, of none that is labelled
        assert abs(drawn.count(last) / 600 - share) < 0.06


def test_small_objects_are_meant_as_often_as_large_ones():
    drawn = objects_map(120, (1, 4, 4, 84, 84), (2, 94, 90, 104, 100)).astype(np.int32)

    class One:
        def scene(self, rng):
            return Shot(np.full((120, 120, 3), 90, np.uint8), drawn.copy(), None)

        def labelled(self, rng):
            return Shot(np.zeros((120, 120, 3), np.uint8), np.zeros((120, 120), np.int32), None)

    masks = np.concatenate([sample(np.random.default_rng(i), One(), 120, 8)[1] for i in range(100)])
    areas = (masks > 127).sum((1, 2))
    assert abs((areas < 150).mean() - 0.5) < 0.12  # crops show either alone


def test_crops_keep_photo_and_maps_together():
    objects = objects_map(200, (1, 40, 40, 160, 160)).astype(np.int32)
    rgb = np.repeat((objects * 200).astype(np.uint8)[..., None], 3, -1)
    for seed in range(20):
        shot = cropped(np.random.default_rng(seed), Shot(rgb, objects, objects * 5), 96)
        assert max(shot.objects.shape) <= 96 and shot.rgb.shape[:2] == shot.objects.shape
        assert ((shot.rgb[..., 0] > 100) != (shot.objects == 1)).mean() < 0.03
        assert np.array_equal(shot.parts, shot.objects * 5)


def test_pasted_objects_cover_what_was_there(album):
    for seed in range(8):
        shot = Shot(np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.int32), np.ones((96, 96), np.int32))
        pasted(np.random.default_rng(seed), album, shot, 4)
        covered = shot.objects > 0
        assert (shot.parts[covered] == UNKNOWN).all() and (shot.parts[~covered] == 1).all()
        assert shot.rgb[~cv2.dilate(covered.astype(np.uint8), np.ones((9, 9))).astype(bool)].max(initial=0) == 0
        if covered.any():
            assert shot.rgb[covered].mean() > 60
    assert set(np.unique(shot.objects)) <= {0, 1, 2, 3, 4}


def test_clicks_are_mostly_deep_inside():
    mask = objects_map(80, (1, 10, 10, 70, 50))
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    rng, depths = np.random.default_rng(0), []
    for _ in range(200):
        at, label = click(rng, mask)
        x, y = at[0].astype(int)
        assert mask[y, x] and label == [1, -1]
        depths.append(depth[y, x] / depth.max())
    assert np.median(depths) > 0.8 and min(depths) < 0.3


def test_a_photo_with_prompts_is_what_a_scene_is(album):
    a, b = (sample(np.random.default_rng([1, 5]), album, 96, 6) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b))
    for seed in range(12):
        pixels, masks, coords, labels, objects = sample(np.random.default_rng([2, seed]), album, 96, 6)
        assert pixels.shape == (3, 96, 96) and masks.shape == (6, 48, 48) and objects.shape == (24, 24)
        assert pixels.dtype == masks.dtype == np.uint8 and coords.dtype == np.float32
        padding = (pixels == np.array(PAD, np.uint8)[:, None, None]).all(0)[2::4, 2::4]
        assert (objects[padding.all(1)] == 0).all()
        for mask, at, label in zip(masks, coords, labels):
            inside = np.argwhere(mask > 127)
            assert mask.max() == 255
            if label[0] == 2:
                low, high = inside.min(0)[::-1] * 2, inside.max(0)[::-1] * 2 + 2
                assert np.all(abs(at[0] - low) <= 0.02 * 96 + 4) and np.all(abs(at[1] - high) <= 0.02 * 96 + 4)
            else:
                x, y = at[0].astype(int) // 2
                assert mask[y, x] > 0


def test_photos_and_scenes_share_a_batch_and_it_continues(album):
    stage = Stage("test", 1.0, 64, 6, 3, (1e-3, 0.0), photos=0.5)
    whole, rest = pictures(stage, 1, 0, 0, album), pictures(stage, 1, 1, 1, album)
    next(whole)
    batches = [next(whole) for _ in range(3)]
    for a in batches:
        b = next(rest)
        assert all(torch.equal(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    unknown = [bool((picture < 0).any()) for batch in batches for picture in batch.objects]
    assert 0 < sum(unknown) < len(unknown)


def test_a_run_on_photos(small_manifest, tmp_path):
    torch.set_num_threads(1)
    options = Options(tmp_path, 0.05, "tiny-photos", workers=0, photos=small_manifest)
    Run(options).train()
    first, again = Run(options), Run(options)
    assert first.progress.images > 0 and first.progress == again.progress
    stage, results = CURRICULA["tiny-photos"][0], []
    for run in (first, again):
        torch.manual_seed(0)
        results.append(float(run.step(stage, 0.5, next(run.batches(stage)))["loss"]))
    assert results[0] == results[1]


def test_the_score_head_learns_to_choose_by_itself(album):
    torch.manual_seed(0)
    model = TinySam().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    made = examples(model, album, 64, range(3), prompts=4)
    assert made.tokens.shape == (12, 256) and made.iou.shape == (12, 3)
    # A choice that the token tells: the sign of its first number.
    tokens = torch.randn(1000, 256)
    first = (tokens[:, 0] > 0).float()
    told = Examples(tokens, torch.stack([0.2 + 0.6 * first, 0.8 - 0.6 * first, torch.full((1000,), 0.3)], 1))
    head = model.mask_decoder.iou_prediction_head
    assert told.chosen(head) < 0.6
    teach(head, told)
    assert told.chosen(head) > 0.75 and told.best == pytest.approx(0.8)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("mask_decoder.iou_prediction_head.") for name in changed)


def test_photos_and_their_curricula_go_together(small_manifest, tmp_path):
    for changes in ({"curriculum": "tiny-photos"}, {"curriculum": "tiny", "photos": small_manifest}):
        with pytest.raises(SystemExit, match="--photos"):
            Run(Options(tmp_path / "none", 0.05, **changes))
