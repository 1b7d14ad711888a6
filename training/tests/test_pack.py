"""The archive that trains elsewhere, and the weights back in pieces."""
import subprocess
import sys
import tarfile

import pytest
import torch

from tinysam_training import pack as packing
from tinysam_training.export import open_weights
from tinysam_training.pack import ROOT, join, pack, split
from tinysam_training.train import Options, Run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    Run(Options(out, 0.02, "tiny", workers=0)).train()
    return out / "run.pt"


def same(a, b) -> bool:
    a, b = (open_weights(path).state_dict() for path in (a, b))
    return all(torch.equal(a[name].half(), b[name].half()) for name in a if a[name].is_floating_point())


def test_weights_come_back_from_pieces(run, tmp_path):
    paths = split(run, tmp_path / "out")
    assert len(paths) == 2 and all(path.stat().st_size < 16 * 2**20 for path in paths)
    join(tmp_path / "out", tmp_path / "joined.safetensors")
    assert same(tmp_path / "joined.safetensors", run)
    paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="fetch all"):
        join(tmp_path / "out", tmp_path / "joined.safetensors")


def test_an_archive_that_is_too_large_is_refused(run, small_manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "LIMIT", 1000)
    with pytest.raises(ValueError, match="MiB"):
        pack(tmp_path / "it.tar.gz", small_manifest, run)
    assert not (tmp_path / "it.tar.gz").exists()


def test_the_archive_trains_by_one_command_and_continues(run, small_manifest, tmp_path, monkeypatch):
    """On the processor, from the archive alone."""
    monkeypatch.setattr(packing, "LONGEST", 100)
    pack(tmp_path / "it.tar.gz", small_manifest, run)
    with tarfile.open(tmp_path / "it.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / ROOT / "tinysam_training/album/photos.json").write_bytes((small_manifest / "photos.json").read_bytes())
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin / "python3").chmod(0o755)
    command = f"sh {ROOT}/train.sh %s 1 out --device cpu --curriculum tiny-photos --workers 0 --no-bf16 --no-compose"
    for minutes, resumed in (("0.03", False), ("0.06", True)):
        done = subprocess.run(
            command % minutes, shell=True, cwd=tmp_path, capture_output=True, text=True,
            env={"PATH": f"{bin}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("resumed" in done.stdout) == resumed
    join(tmp_path / "out", tmp_path / "back.safetensors")
    assert same(tmp_path / "back.safetensors", tmp_path / ROOT / "run/run.pt")
    assert not same(tmp_path / "back.safetensors", run)
