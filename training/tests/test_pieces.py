"""The generator, the losses, the schedule, photos with labels."""
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tinysam_training import photos
from tinysam_training.curriculum import CURRICULA, Stage, locate
from tinysam_training.evaluate import iou, plain
from tinysam_training.look import sheet
from tinysam_training.losses import Affinity, _pair, mask_loss
from tinysam_training.model import TinySam
from tinysam_training.model.encoder import bias_index
from tinysam_training.scenes import sample, scene
from tinysam_training.source import pictures, shapes
from tinysam_training.train import worst_click

STAGE = Stage("test", 1.0, 96, 2, 5, (1e-3, 0.0))
CERTAIN = torch.tensor([True])


def test_bias_index_is_in_the_order_of_meeting():
    for window in (7, 14):
        places, known, expected = [(r, c) for r in range(window) for c in range(window)], {}, []
        for a in places:
            for b in places:
                apart = abs(a[0] - b[0]), abs(a[1] - b[1])
                expected.append(known.setdefault(apart, len(known)))
        assert bias_index(window).flatten().tolist() == expected


def test_a_scene_is_a_function_of_its_seed():
    a, b, c = (sample(np.random.default_rng([1, seed]), 96, 4) for seed in (5, 5, 6))
    assert all(np.array_equal(x, y) for x, y in zip(a, b))
    assert not np.array_equal(a[0], c[0])


@pytest.mark.parametrize("side", [64, 112, 224])
def test_prompts_mean_their_masks(side):
    for seed in range(6):
        pixels, masks, coords, labels, objects = sample(np.random.default_rng([2, seed]), side, 8)
        assert pixels.shape == (3, side, side) and objects.shape == (side // 4, side // 4)
        assert masks.shape == (8, side // 2, side // 2)
        for mask, at, label in zip(masks, coords, labels):
            inside = np.argwhere(mask > 127)
            assert len(inside) > 0 and mask.max() == 255
            if label[0] == 2:  # a box: around the mask, but for the jitter
                low, high = inside.min(0)[::-1] * 2, inside.max(0)[::-1] * 2 + 2
                assert np.all(abs(at[0] - low) <= 0.02 * side + 4) and np.all(abs(at[1] - high) <= 0.02 * side + 4)
            else:  # a point: on it, if perhaps at its edge
                x, y = at[0].astype(int) // 2
                assert mask[y, x] > 0


def test_parts_belong_to_their_objects():
    made = scene(np.random.default_rng(3), 160)
    for part, owner in made.owner.items():
        assert set(np.unique(made.objects[made.parts == part])) <= {owner}
    assert all(np.count_nonzero(made.objects == number) <= full for number, full in made.full.items())


def test_easy_scenes_hold_whole_objects_only():
    for seed in range(4):
        _, masks, *_ = sample(np.random.default_rng([4, seed]), 112, 6, easy=1.0)
        assert all((mask > 127).mean() > 0.005 for mask in masks)


def test_batches_continue_where_they_stopped():
    whole, rest = pictures(STAGE, 1, 0, workers=0), pictures(STAGE, 1, 2, workers=2)
    next(whole), next(whole)
    for _ in range(3):
        a, b = next(whole), next(rest)
        assert all(torch.equal(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    a, b = shapes(STAGE, 1, 0), shapes(STAGE, 1, 1)
    next(a)
    assert torch.equal(next(a).masks, next(b).masks)


def test_the_loss_is_least_for_the_truth():
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:12, 4:12] = 1
    right = (truth * 20 - 10)[:, None, ::2, ::2].repeat(1, 3, 1, 1)
    logits = right.clone()
    logits[:, 0], logits[:, 2] = -logits[:, 0], -10
    for balanced in (0.0, 0.5, 1.0):
        outcome = mask_loss(logits, torch.tensor([[0.0, 1.0, 0.0]]), truth, balanced, CERTAIN)
        assert outcome.best.item() == 1 and outcome.chosen.item() == 1 and outcome.of_best().item() > 0.8
        wrong = mask_loss(-right, torch.tensor([[0.0, 1.0, 0.0]]), truth, balanced, CERTAIN)
        assert wrong.loss.item() > outcome.loss.item() + 0.5


def test_choosing_the_wrong_mask_costs():
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:12, 4:12] = 1
    logits = (truth * 20 - 10)[:, None, ::2, ::2].repeat(1, 3, 1, 1)
    logits[:, 1:] = -10
    right, wrong = (
        torch.tensor([scores], requires_grad=True) for scores in ([0.9, 0.1, 0.1], [0.1, 0.2, 0.1])
    )
    losses = [mask_loss(logits, scores, truth, 0.0, ~CERTAIN) for scores in (right, wrong)]
    assert losses[0].chosen.item() == 0 and losses[1].chosen.item() == 1
    assert losses[1].loss.item() > losses[0].loss.item() + 0.5
    losses[1].loss.sum().backward()
    assert wrong.grad[0, 0] < 0 < wrong.grad[0, 1]


def test_what_is_certain_holds_for_all_three_masks():
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:12, 4:12] = 1
    right = (truth * 20 - 10)[:, None, ::2, ::2].repeat(1, 3, 1, 1)
    one = right.clone()
    one[:, 1:] = -10
    scores = torch.tensor([[0.9, 0.1, 0.1]])

    def cost(certain):
        return (mask_loss(one, scores, truth, 0.0, certain).loss - mask_loss(right, scores, truth, 0.0, certain).loss).item()

    assert cost(CERTAIN) > cost(~CERTAIN) + 0.1


def test_outside_of_the_box_is_worse_than_within():
    truth = torch.zeros(1, 32, 32)
    truth[:, 8:24, 8:16] = truth[:, 16:24, 16:24] = 1  # an L
    scores = torch.tensor([[0.9, 0.1, 0.1]])

    def cost(certain, *more):
        mask = truth.clone()
        mask[:, more[0], more[1]] = 1
        logits = (mask * 20 - 10)[:, None].repeat(1, 3, 1, 1)
        return mask_loss(logits, scores, truth, 0.0, certain).loss.item()

    within, beyond = (slice(8, 16), slice(16, 20)), (slice(8, 16), slice(24, 28))
    assert cost(CERTAIN, *beyond) > cost(CERTAIN, *within) + 0.1
    assert cost(~CERTAIN, *beyond) == pytest.approx(cost(~CERTAIN, *within), abs=1e-4)


def test_clicks_fall_where_the_mask_errs():
    truth = torch.zeros(4, 32, 32)
    truth[:, :, 16:] = 1
    logits = torch.full((4, 3, 16, 16), -5.0)
    outcome = mask_loss(logits, torch.zeros(4, 3), truth, 0.0, CERTAIN)
    _, point, label = worst_click(logits, outcome, truth, 64)
    assert (point[..., 0] >= 31).all() and (label == 1).all()


def test_pairs_lie_at_their_offset():
    place = torch.arange(12 * 12).view(1, 12, 12)
    for down, right in Affinity.OFFSETS:
        here, there = _pair(place, down, right)
        assert (there - here == down * 12 + right).all() and here.shape == (1, 12 - down, 12 - abs(right))


def test_the_unknown_is_compared_with_objects_only():
    """Whether two unknown places, or an unknown and a background one, are of one object, nobody knows."""
    affinity, embedding = Affinity(), torch.randn(1, 256, 8, 8)

    def depends_on_what_is_there(objects, place):
        code = embedding.clone().requires_grad_()
        affinity(code, objects).backward()
        return bool(code.grad[0, :, place, place].abs().sum() > 0)

    objects = torch.full((1, 32, 32), -1)
    assert not depends_on_what_is_there(objects, 4)
    objects[:, :, :16] = 0
    assert not depends_on_what_is_there(objects, 7)
    assert depends_on_what_is_there(objects, 1)
    objects[:, 8:, :16] = 1
    assert depends_on_what_is_there(objects, 5)


def test_stages_fill_the_run():
    for stages in CURRICULA.values():
        assert sum(stage.share for stage in stages) == pytest.approx(1)
        assert all(stage.side % 16 == 0 for stage in stages)
        assert [locate(stages, f)[0] for f in (0.0, 0.999, 1.0, 1.5)] == [0] + [len(stages) - 1] * 3
        assert locate(stages, stages[0].share / 2) == (0, pytest.approx(0.5))


def test_what_needs_no_model():
    filled, ellipse = plain(np.array([10, 20, 50, 40]), 64, 64)
    assert filled.sum() == 800 and abs(ellipse.sum() - np.pi / 4 * 800) < 15
    assert iou(filled, filled) == 1 and iou(filled, ~filled) == 0


def test_a_sheet_shows_every_photo_twice(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / name)
    prompts = {name: {"point": [30, 20], "box": [10, 10, 50, 30]} for name in ("a.png", "b.png")}
    image, told = sheet(TinySam().eval(), 64, tmp_path, prompts)
    assert image.size == (600, 440) and len(told) == 4
    cells = [np.array(image.crop((x, y, x + 300, y + 220))) for x in (0, 300) for y in (0, 220)]
    assert all((cell[110, 150] < 250).any() or (cell < 100).all(-1).any() for cell in cells)


def test_photos_with_polygons(tmp_path):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    label = {"imagePath": "a.png", "shapes": [{"label": "x", "points": square, "shape_type": "polygon"}]}
    (tmp_path / "a.json").write_text(json.dumps(label))
    (only,) = photos.read(tmp_path)
    assert only.rgb.shape == (40, 60, 3) and abs(int(only.masks[0].sum()) - 400) <= 41
    x, y = photos.deepest(only.masks[0])
    assert 18 <= x <= 22 and 18 <= y <= 22
    coco = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "annotations": [{"image_id": 7, "segmentation": [np.ravel(square).tolist()]}, {"image_id": 8, "segmentation": []}],
    }
    (tmp_path / "a.json").write_text(json.dumps(coco))
    (same,) = photos.read(tmp_path)
    assert np.array_equal(same.masks[0], only.masks[0])
    (tmp_path / "a.json").unlink()
    with pytest.raises(ValueError, match="LabelMe"):
        list(photos.read(tmp_path))
