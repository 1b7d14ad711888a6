"""The image encoder: TinyViT-5M with SAM's neck (paper arXiv 2207.10666; reference tiny_vit_sam.py).

Module names are the checkpoint's. Nothing here knows the input's side: any multiple of 32 will do. The weights of the
reference's unused classifier (`norm_head`, `head`) are left out.

| stage | grid at side S | channels | heads | window | blocks |
|---|---|---|---|---|---|
| patch embed | S/4 | 64 | | | two strided convolutions |
| 0 | S/4 | 64 | | | 2 MBConv |
| 1 | S/8 | 128 | 4 | 7 | 2 |
| 2 | S/16 | 160 | 5 | 14 | 6 |
| 3 | S/16 | 320 | 10 | 7 | 2 |
| neck | S/16 | 256 | | | 1x1, 3x3 |
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 32
CHANNELS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
WINDOWS = (0, 7, 14, 7)


class ConvNorm(nn.Sequential):
    """A convolution without bias and its BatchNorm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, scale: float = 1.0):
        super().__init__()
        self.add_module("c", nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(outputs))
        nn.init.constant_(self.bn.weight, scale)


class LayerNorm2d(nn.Module):
    """LayerNorm over the channels of an NCHW tensor, eps 1e-6."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class PatchEmbed(nn.Module):
    def __init__(self):
        super().__init__()
        wide = CHANNELS[0]
        self.seq = nn.Sequential(ConvNorm(3, wide // 2, 3, 2), nn.GELU(), ConvNorm(wide // 2, wide, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class MBConv(nn.Module):
    """Widen, filter, narrow, add the input, then GELU."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = ConvNorm(channels, 4 * channels)
        self.conv2 = ConvNorm(4 * channels, 4 * channels, 3, groups=4 * channels)
        self.conv3 = ConvNorm(4 * channels, channels, scale=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class PatchMerging(nn.Module):
    """To the next stage's channels. The last stage keeps its grid: SAM wants 1/16 of the side, not 1/32."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        stride = 1 if outputs == CHANNELS[-1] else 2
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


def bias_index(window: int) -> Tensor:
    """[n, n] into the table of biases: (|row distance|, |column distance|) in the order in which the pairs are first
    met, walking all (query, key) pairs of a window row-major. From the first query, a corner, that is row-major too."""
    place = torch.arange(window)
    apart = (place[:, None] - place[None]).abs()
    rows, columns = apart.repeat_interleave(window, 0).repeat_interleave(window, 1), apart.repeat(window, window)
    return rows * window + columns


class Attention(nn.Module):
    """Attention within windows, with learned biases by distance; its own LayerNorm at the head."""

    def __init__(self, channels: int, window: int):
        super().__init__()
        heads = channels // HEAD
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.register_buffer("index", bias_index(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x [windows, n, channels]`."""
        many, n, channels = x.shape
        heads = channels // HEAD
        # Packed per head: [q32 | k32 | v32], head after head.
        q, k, v = self.qkv(self.norm(x)).view(many, n, heads, 3, HEAD).permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.index].to(q.dtype)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(many, n, channels))


class Mlp(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Attention + residual, a depthwise convolution without one, MLP + residual."""

    def __init__(self, channels: int, window: int):
        super().__init__()
        self.window = window
        self.attn = Attention(channels, window)
        self.local_conv = ConvNorm(channels, channels, 3, groups=channels)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`x [B, C, H, W]`."""
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens + self.attend(tokens)
        tokens = self.local_conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (tokens + self.mlp(tokens)).permute(0, 3, 1, 2)

    def attend(self, x: Tensor) -> Tensor:
        """`x [B, H, W, C]`. The grid is padded with zeros before the LayerNorm, and what is padded is attended to."""
        b, h, w, c = x.shape
        side = self.window
        down, right = -h % side, -w % side
        x = F.pad(x, (0, 0, 0, right, 0, down))
        rows, columns = (h + down) // side, (w + right) // side
        x = x.view(b, rows, side, columns, side, c).transpose(2, 3).reshape(-1, side * side, c)
        x = self.attn(x)
        x = x.view(b, rows, columns, side, side, c).transpose(2, 3).reshape(b, h + down, w + right, c)
        return x[:, :h, :w]


class Stage(nn.Module):
    def __init__(self, i: int):
        super().__init__()
        channels = CHANNELS[i]
        make = (lambda: MBConv(channels)) if i == 0 else (lambda: Block(channels, WINDOWS[i]))
        self.blocks = nn.ModuleList(make() for _ in range(DEPTHS[i]))
        self.downsample = PatchMerging(channels, CHANNELS[i + 1]) if i < 3 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x)


class ImageEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.layers = nn.ModuleList(Stage(i) for i in range(4))
        self.neck = nn.Sequential(
            nn.Conv2d(CHANNELS[-1], 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels `[B, 3, S, S]` → image embedding `[B, 256, S/16, S/16]`; S a multiple of 32."""
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)
