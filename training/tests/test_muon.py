"""A step of Muon, and what it takes for matrices."""
import torch

from tinysam_training.muon import Muon, is_matrix, orthogonal


def test_directions_become_alike():
    torch.manual_seed(0)
    for shape in ((16, 64), (64, 16), (48, 48)):
        left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
        values = torch.logspace(0, -1.5, min(shape))
        found = orthogonal(left * values @ right)
        assert found.shape == shape
        turned = left.T @ found @ right.T
        assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.35
        assert (turned - torch.diag(turned.diagonal())).abs().max() < 1e-4


def test_what_is_a_matrix():
    for shape, expected in {
        (256, 64): True, (256, 64, 3, 3): True, (16, 256): True, (256,): False, (1, 256): False, (4, 256): False,
        (160, 1, 3, 3): False, (10, 49): False,
    }.items():  # fmt: skip
        assert is_matrix(torch.empty(shape)) == expected, shape


def test_steps_are_as_long_as_adams_and_decay():
    torch.manual_seed(0)
    weight, idle = torch.nn.Parameter(torch.zeros(32, 3, 4, 4)), torch.nn.Parameter(torch.ones(16, 16))
    muon = Muon([weight, idle], lr=0.1, weight_decay=0.0)
    weight.grad = torch.randn_like(weight) * 1e-4
    muon.step()
    # Of a matrix that is not square the longer side's directions are as many as the shorter side's.
    assert 0.05 < weight.pow(2).mean().sqrt() / 0.1 / (32 / 48) ** 0.5 < 0.4
    assert torch.equal(idle, torch.ones(16, 16))  # it has no gradient
    decayed = torch.nn.Parameter(torch.ones(16, 16))
    decayed.grad = torch.zeros(16, 16)
    Muon([decayed], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(decayed, torch.tensor(0.95))
