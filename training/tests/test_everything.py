"""Everything in a picture: against the reference where there is a golden of it, and its second half piece by piece."""
import json

import numpy as np
import pytest
import torch
from test_goldens import FIXTURES

from tinysam_training import everything, formula
from tinysam_training.everything import Config, Mask, Nearest
from tinysam_training.model import TinySam


def test_it_meets_the_reference():
    torch.set_num_threads(1)
    model = TinySam().eval()
    formula.fill(model)
    expected = json.loads((FIXTURES / "goldens/everything_256_synth.json").read_text())
    config = Config(**expected["config"])
    masks, calls, _ = everything.everything(model, formula.synthetic_image(640, 480), expected["size"], config)
    assert calls == expected["decoder_calls"] and len(masks) == len(expected["masks"])
    for mask, other in zip(masks, expected["masks"]):
        assert mask.predicted_iou == pytest.approx(other["predicted_iou"], abs=1e-4)
        assert mask.stability_score == pytest.approx(other["stability_score"], abs=1e-3)
        assert list(mask.point) == pytest.approx(other["point_coords"][0])
        x0, y0, x1, y1 = mask.box().tolist()
        assert [x0, y0, x1 - x0, y1 - y0] == other["bbox"]
        assert abs(int(mask.pixels.sum()) - other["area"]) <= 31
        assert abs(len(everything.run_lengths(mask.pixels)) - other["rle_runs"]) <= 62


def drawn(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def mask(pixels: np.ndarray, score: float) -> Mask:
    return Mask(pixels, score, 1.0, (0.0, 0.0))


def test_run_lengths_go_down_the_columns():
    assert everything.run_lengths(drawn("...", "...")) == [6]
    assert everything.run_lengths(drawn("###", "###")) == [0, 6]
    assert everything.run_lengths(drawn(".#.", "...")) == [2, 1, 3]


def test_small_regions_go_and_the_largest_stays():
    nearest = Nearest()
    pixels, changed = everything.without_small(drawn("####", "#.##", "####"), 2, True, nearest)
    assert changed and pixels.all()
    pixels, changed = everything.without_small(drawn("##..#", "....#", "#...#"), 100, False, nearest)
    assert changed and (pixels == drawn("....#", "....#", "....#")).all()
    assert not everything.without_small(drawn("##", "##"), 4, False, nearest)[1]
    assert nearest.distances == {"min_mask_region_area": 0.5}


def test_the_better_of_two_boxes_stays_and_the_untouched_of_two_tidied():
    large, nearly, far = np.zeros((3, 40, 40), bool)
    large[:20, :20], nearly[:20, :19], far[30:, 30:] = True, True, True
    masks = [mask(nearly, 0.5), mask(large, 0.9), mask(far, 0.7)]
    assert everything.nms(masks, [0.5, 0.9, 0.7], 0.7, Nearest()) == [1, 2]
    assert everything.nms(masks, [0.5, 0.9, 0.7], 1.0, Nearest()) == [1, 2, 0]
    holed = large.copy()
    holed[5, 5] = False
    kept = everything.tidied([mask(holed, 0.9), mask(far, 0.7), mask(nearly, 0.5)], Config(min_mask_region_area=4), Nearest())
    assert [m.predicted_iou for m in kept] == [0.7, 0.5]
