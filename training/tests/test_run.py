"""A run of seconds: it trains, stops, continues, and its checkpoint is what the engine expects."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from tinysam_training.curriculum import locate
from tinysam_training.evaluate import agreement
from tinysam_training.export import export, metadata, open_weights
from tinysam_training.model import TinySam
from tinysam_training.train import Clock, Options, Run

ROOT = Path(__file__).parents[2]


def options(out: Path, **changes) -> Options:
    return Options(**{"out": out, "minutes": 0.05, "curriculum": "tiny", "workers": 0} | changes)


def test_a_process_without_a_processor_has_not_trained(monkeypatch):
    wall, worked = iter([0.0, 10.0, 20.0, 500.0]), iter([0.0, 9.0, 9.2, 300.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(wall))
    monkeypatch.setattr(time, "process_time", lambda: next(worked))
    clock = Clock(torch.device("cpu"))
    # At work, starved, and halted for minutes.
    assert [round(clock.step(), 3) for _ in range(3)] == [9.0, 0.2, 60.0]
    wall = iter([0.0, 10.0])
    assert [clock.step() for clock in [Clock(torch.device("cuda"))]] == [10.0]


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    Run(options(out)).train()
    return out


def test_a_run_is_resumed_exactly(finished):
    """What a run goes on with is what it stopped with, and a step from there is the same step."""
    first, second = Run(options(finished)), Run(options(finished))
    assert first.progress.step > 0 and first.progress == second.progress
    assert same(first.model.state_dict(), second.model.state_dict()) and same(first.ema.state, second.ema.state)
    stage = first.stages[-1]
    results = []
    for run in (first, second):
        torch.manual_seed(0)
        batch = next(run.batches(stage))
        results.append(run.step(stage, 0.5, batch))
    assert {n: float(v) for n, v in results[0].items()} == {n: float(v) for n, v in results[1].items()}
    assert same(first.model.state_dict(), second.model.state_dict())


def test_it_goes_on_with_more_time(finished):
    before = Run(options(finished)).progress
    longer = Run(options(finished, minutes=before.seconds / 60 + 0.05))
    longer.train()
    assert longer.progress.step > before.step and longer.progress.seconds >= before.seconds + 3
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})


def test_another_seed_does_not_continue_it(finished):
    with pytest.raises(SystemExit, match="another"):
        Run(options(finished, seed=2))


def test_a_signal_to_all_its_processes_ends_it_with_a_file(tmp_path):
    command = [sys.executable, "-m", "tinysam_training", "run", "--minutes", "1", "--curriculum", "tiny"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--out", tmp_path], cwd=ROOT / "training", env=environment, start_new_session=True
    )
    deadline = time.monotonic() + 120
    log = tmp_path / "log.jsonl"
    while not log.exists() or '"stage": "first"' not in log.read_text():  # the stage before has no workers
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 0
    assert Run(options(tmp_path)).progress.step >= 20


def test_the_checkpoint_holds_what_the_network_uses(finished, tmp_path):
    path = tmp_path / "made.safetensors"
    export(finished / "run.pt", path, {"box": 0.5}, "f16")
    names = [line.split("\t")[0] for line in (ROOT / "src/checkpoint/state_dict.txt").read_text().splitlines()]
    unused = ("image_encoder.norm_head.", "image_encoder.head.")
    used = {n for n in names if not n.startswith(unused) and not n.endswith("num_batches_tracked")}
    held = load_file(path)
    assert set(held) == used and {str(value.dtype) for value in held.values()} == {"float16"}
    assert path.stat().st_size < 21_000_000
    told = metadata(path)
    assert json.loads(told["evaluation"]) == {"box": 0.5} and int(told["steps"]) > 0 and "MIT" in told["licence"]
    rounded, trained = open_weights(path).state_dict(), open_weights(finished / "run.pt").state_dict()
    for name, value in trained.items():
        if value.is_floating_point():
            assert torch.equal(rounded[name], value.half().float()), name


def test_a_run_begins_with_given_weights_after_the_warm_up(finished, tmp_path):
    export(finished / "run.pt", tmp_path / "made.safetensors", {}, "f32")
    run = Run(options(tmp_path / "next", weights=tmp_path / "made.safetensors"))
    given = open_weights(finished / "run.pt").state_dict()
    for state in (run.model.state_dict(), run.ema.state):
        assert all(torch.equal(state[name], value) for name, value in given.items() if value.is_floating_point())
    assert run.stages[locate(run.stages, run.progress.seconds / (60 * run.options.minutes))[0]].encoder
    run.train()
    assert run.progress.joint_steps > 0


def test_int8_is_half_as_large_and_within_half_a_step(finished, tmp_path):
    path = tmp_path / "made.safetensors"
    export(finished / "run.pt", path, {}, "int8")
    assert path.stat().st_size < 10_300_000
    rounded, trained = open_weights(path).state_dict(), open_weights(finished / "run.pt").state_dict()
    scaled = 0
    for name, value in trained.items():
        if not value.is_floating_point():
            continue
        error = (rounded[name] - value).abs()
        if torch.equal(rounded[name], value.half().float()):
            continue
        scaled += value.numel()
        outputs = 1 if "output_upscaling" in name else 0
        largest = value.abs().amax([axis for axis in range(value.ndim) if axis != outputs], keepdim=True)
        assert (error <= largest / 254 * 1.001).all(), name
    assert scaled > 9_000_000


def test_what_is_no_checkpoint_is_refused(finished):
    model = open_weights(finished / "run.pt")
    tensors = dict(model.state_dict())
    tensors.pop("image_encoder.neck.0.weight")
    with pytest.raises(ValueError, match="neck.0"):
        model.load_weights(tensors)
    with pytest.raises(ValueError, match="other"):
        model.load_weights(dict(model.state_dict()) | {"other": torch.zeros(1)})


def test_bf16_comes_close(finished):
    """The network of a GPU's run, on the processor: every dtype fits every other, and the losses agree."""
    losses = []
    for bf16 in (False, True):
        run = Run(options(finished, bf16=bf16))
        stage = run.stages[-1]
        torch.manual_seed(0)
        losses.append(float(run.step(stage, 0.5, next(run.batches(stage)))["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=0.05) and losses[0] != losses[1]


def test_agreement_on_photos_is_between_the_masks_that_a_user_gets(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    square = [[10, 10], [40, 10], [40, 40], [10, 40]]
    shapes = {"imagePath": "a.png", "shapes": [{"label": "x", "points": square, "shape_type": "polygon"}]}
    (tmp_path / "a.json").write_text(json.dumps(shapes))
    model, other = TinySam().eval(), TinySam().eval()
    assert agreement(model, model, 64, tmp_path) == 1
    assert agreement(model, other, 64, tmp_path) < 1
