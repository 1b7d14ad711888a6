"""Muon: momentum whose matrices are made orthogonal, so that a step moves all their directions alike and not only the few
that most examples agree on (Jordan et al. 2024; Liu et al. 2025, "Muon is Scalable for LLM Training", whose scale lets it
share AdamW's learning rates and decay). PyTorch has one from 2.9 on, of matrices alone; convolutions are matrices, too."""
import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
SLOPES = 3.4445, -4.7750, 2.0315
"""Of the polynomial that brings each singular value near one. It does not converge: they end between 0.7 and 1.2."""
STRIDE = 0.2
"""Root mean square of a step's numbers over the learning rate: AdamW's."""


def is_matrix(weight: Tensor) -> bool:
    """Has it directions to be made alike? Not norms, biases, tables, tokens and depthwise kernels."""
    return weight.ndim >= 2 and min(weight.flatten(1).shape) >= 16


class Muon(torch.optim.Optimizer):
    """Of matrices, and of convolutions as `[out, in·height·width]`."""

    def __init__(self, weights: list[Tensor], lr: float, weight_decay: float):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:  # the encoder's, in the warm-up
                    continue
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                mean = state["mean"]
                mean.lerp_(weight.grad, 1 - MOMENTUM)
                step = orthogonal(weight.grad.lerp(mean, MOMENTUM).flatten(1))
                length = STRIDE * max(step.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(step.view_as(weight), alpha=-group["lr"] * length)


def orthogonal(matrix: Tensor) -> Tensor:
    """About `U·Vᵀ` of a matrix `U·S·Vᵀ`, by Newton's and Schulz's iteration: `X ← (a + b·X·Xᵀ + c·(X·Xᵀ)²)·X`.

    All factors are polynomials of the first `X·Xᵀ`, which commute: they are multiplied with one another, as small as the
    matrix's shorter side, and with `X` once. In f32 that is exact enough for a direction 1/3000 as long as the longest;
    shorter ones are noise in a gradient, too."""
    a, b, c = SLOPES
    upright = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if upright else matrix
    x = x / (x.norm() + 1e-7)
    square = x @ x.T
    factor = product = None
    for _ in range(ITERATIONS):
        if factor is not None:
            square = factor @ square @ factor
        factor = torch.addmm(square, square, square, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor if product is None else factor @ product
    x = product @ x
    return x.T if upright else x
