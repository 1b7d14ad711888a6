"""The mask decoder: prompt tokens and the image embedding attend to each other (reference mask_decoder.py,
transformer.py)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoder import LayerNorm2d

HEADS = 8


class Attention(nn.Module):
    def __init__(self, inner: int):
        super().__init__()
        self.q_proj = nn.Linear(256, inner)
        self.k_proj = nn.Linear(256, inner)
        self.v_proj = nn.Linear(256, inner)
        self.out_proj = nn.Linear(inner, 256)

    def align(self) -> None:
        """For training from nothing: a query first attends to keys at its own position, since what is alike is
        projected alike. With independent projections training has to find that out, and rests long on a plateau."""
        with torch.no_grad():
            self.q_proj.weight.mul_(2.0)
            self.k_proj.weight.copy_(self.q_proj.weight)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return x.view(*x.shape[:2], HEADS, -1).transpose(1, 2)

        x = F.scaled_dot_product_attention(heads(self.q_proj(q)), heads(self.k_proj(k)), heads(self.v_proj(v)))
        return self.out_proj(x.transpose(1, 2).flatten(2))


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1 = nn.Linear(256, 2048)
        self.lin2 = nn.Linear(2048, 256)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, pass an MLP, and the image attends to them."""

    def __init__(self, first: bool):
        super().__init__()
        self.first = first
        self.self_attn = Attention(256)
        self.norm1 = nn.LayerNorm(256)
        self.cross_attn_token_to_image = Attention(128)
        self.norm2 = nn.LayerNorm(256)
        self.mlp = TwoLayers()
        self.norm3 = nn.LayerNorm(256)
        self.norm4 = nn.LayerNorm(256)
        self.cross_attn_image_to_token = Attention(128)

    def forward(self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:  # without positions and without residual
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            placed = tokens + token_pe
            tokens = self.norm1(tokens + self.self_attn(placed, placed, tokens))
        keys = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(keys, tokens + token_pe, tokens))
        return tokens, image


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([TwoWayBlock(first=True), TwoWayBlock(first=False)])
        self.final_attn_token_to_image = Attention(128)
        self.norm_final_attn = nn.LayerNorm(256)
        self.final_attn_token_to_image.align()
        for layer in self.layers:
            layer.cross_attn_token_to_image.align()
            layer.cross_attn_image_to_token.align()

    def forward(self, image: Tensor, image_pe: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """`image [N, cells, 256]`, `image_pe [1, cells, 256]`, `prompt [N, tokens, 256]` → tokens, image."""
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, image_pe)
        tokens = tokens + self.final_attn_token_to_image(tokens + prompt, image + image_pe, image)
        return self.norm_final_attn(tokens), image


class Mlp(nn.Module):
    def __init__(self, outputs: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(256, 256), nn.Linear(256, 256), nn.Linear(256, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))


class MaskDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = Transformer()
        self.iou_token = nn.Embedding(1, 256)
        self.mask_tokens = nn.Embedding(4, 256)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(256, 64, 2, 2), LayerNorm2d(64), nn.GELU(), nn.ConvTranspose2d(64, 32, 2, 2), nn.GELU()
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(32) for _ in range(4))
        self.iou_prediction_head = Mlp(4)

    def forward(self, image: Tensor, image_pe: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """All four masks and scores; TinySAM's are the last three.

        `image [N, 256, h, w]` with the dense prompt added, `image_pe [1, 256, h, w]`, `sparse [N, K, 256]` →
        logits `[N, 4, 4h, 4w]`, predicted IoU `[N, 4]`.
        """
        n, _, h, w = image.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(n, -1, -1)
        tokens, image = self.transformer(
            image.flatten(2).transpose(1, 2), image_pe.flatten(2).transpose(1, 2), torch.cat([own, sparse], 1)
        )
        upscaled = self.output_upscaling(image.transpose(1, 2).reshape(n, 256, h, w))
        filters = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1)
        masks = torch.einsum("nmc,nchw->nmhw", filters, upscaled)
        return masks, self.iou_prediction_head(tokens[:, 0])
