//! The operations in burn's own terms: what each one means. Nothing here calls what it judges.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation, module};

use super::decoder::{CellProjection, Heads, MASKS, Settle, TokenProjection, Upscale};
use super::{Activation, Bottleneck, Conv3x3, Depthwise3x3, Linear, Norm, Window};

fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::None => x,
        Activation::Gelu => activation::gelu(x),
        Activation::Relu => activation::relu(x),
    }
}

pub fn linear(x: Tensor<3>, layer: &Linear, function: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, c] = x.dims();
    let out = layer.weight.dims()[1];
    let y = x.reshape([b * l, c]).matmul(layer.weight.clone()) + layer.bias.clone().unsqueeze();
    let y = y.reshape([b, l, out]);
    activate(if let Some(r) = residual { y + r } else { y }, function)
}

pub fn norm_linear(x: Tensor<3>, norm: &Norm, layer: &Linear, function: Activation) -> Tensor<3> {
    linear(layer_norm(x, norm, Activation::None), layer, function, None)
}

pub fn feed_forward(x: Tensor<3>, norm: &Norm, widen: &Linear, narrow: &Linear) -> Tensor<3> {
    let hidden = norm_linear(x.clone(), norm, widen, Activation::Gelu);
    linear(hidden, narrow, Activation::None, Some(x))
}

pub fn layer_norm(x: Tensor<3>, norm: &Norm, function: Activation) -> Tensor<3> {
    let (variance, mean) = x.clone().var_mean_bias(2);
    let x = (x - mean) / (variance + norm.epsilon).sqrt();
    activate(x * norm.weight.clone().unsqueeze() + norm.bias.clone().unsqueeze(), function)
}

/// `[H, W, C]` → `[1, C, H, W]`, a view.
fn to_nchw(x: Tensor<3>) -> Tensor<4> {
    x.permute([2, 0, 1]).unsqueeze_dim(0)
}

/// `[1, C, H, W]` → `[H, W, C]`, a view.
fn to_hwc(x: Tensor<4>) -> Tensor<3> {
    x.squeeze_dim::<3>(0).permute([1, 2, 0])
}

pub fn conv3x3(x: Tensor<3>, conv: &Conv3x3, stride: usize, function: Activation) -> Tensor<3> {
    let channels = x.dims()[2];
    let out = conv.weight.dims()[1];
    let weight = conv.weight.clone().reshape([3, 3, channels, out]).permute([3, 2, 0, 1]); // [out, in, 3, 3]
    let options = ConvOptions::new([stride, stride], [1, 1], [1, 1], 1);
    let y = module::conv2d(to_nchw(x), weight, Some(conv.bias.clone()), options);
    activate(to_hwc(y), function)
}

fn depthwise(x: Tensor<3>, conv: &Depthwise3x3, stride: usize, function: Activation) -> Tensor<3> {
    let channels = x.dims()[2];
    let weight = conv.weight.clone().reshape([3, 3, 1, channels]).permute([3, 2, 0, 1]); // [C, 1, 3, 3]
    let options = ConvOptions::new([stride, stride], [1, 1], [1, 1], channels);
    let y = module::conv2d(to_nchw(x), weight, Some(conv.bias.clone()), options);
    activate(to_hwc(y), function)
}

pub fn depthwise3x3(x: Tensor<3>, conv: &Depthwise3x3) -> Tensor<3> {
    depthwise(x, conv, 1, Activation::None)
}

pub fn bottleneck(x: Tensor<3>, block: &Bottleneck) -> Tensor<3> {
    let y = linear(x.clone(), &block.expand, Activation::Gelu, None);
    let y = depthwise(y, &block.depthwise, block.stride, Activation::Gelu);
    if block.residual {
        linear(y, &block.project, Activation::Gelu, Some(x))
    } else {
        linear(y, &block.project, Activation::None, None)
    }
}

pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    let [h, w, packed] = qkv.dims();
    let (side, heads) = (window.side, window.bias.dims()[0]);
    let cells = side * side;
    let channels = packed / 3;
    let depth = channels / heads;
    let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
    let (padded_h, padded_w) = (rows * side, columns * side);

    // The padded cells: zeros everywhere but there, plus the pad where there is no cell.
    let pad = window.pad.clone().reshape([1, 1, packed]);
    let mut qkv = qkv;
    if padded_w > w {
        qkv = Tensor::cat(vec![qkv, pad.clone().expand([h, padded_w - w, packed])], 1);
    }
    if padded_h > h {
        qkv = Tensor::cat(vec![qkv, pad.expand([padded_h - h, padded_w, packed])], 0);
    }
    let qkv = qkv
        .reshape([rows, side, columns, side, heads, 3, depth])
        .permute([5, 0, 2, 4, 1, 3, 6]) // [3, rows, columns, heads, side, side, depth]
        .reshape([3, rows * columns, heads, cells, depth]);
    let part = |i: usize| qkv.clone().slice_dim(0, i..i + 1).squeeze_dim::<4>(0); // [windows, heads, cells, depth]
    let scores = part(0).matmul(part(1).swap_dims(2, 3)) / (depth as f64).sqrt();
    let scores = scores + window.bias.clone().unsqueeze();
    activation::softmax(scores, 3)
        .matmul(part(2)) // [windows, heads, cells, depth]
        .reshape([rows, columns, heads, side, side, depth])
        .permute([0, 3, 1, 4, 2, 5]) // [rows, side, columns, side, heads, depth]
        .reshape([padded_h, padded_w, channels])
        .slice([0..h, 0..w])
}

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [b, l, channels] = q.dims();
    let batch = b.max(k.dims()[0]).max(v.dims()[0]);
    let depth = channels / heads;
    let split = |x: Tensor<3>| {
        let [b, l, _] = x.dims();
        x.reshape([b, l, heads, depth]).swap_dims(1, 2) // [B, heads, L, depth]
    };
    let scores = split(q).matmul(split(k).swap_dims(2, 3)) / (depth as f64).sqrt();
    activation::softmax(scores, 3)
        .matmul(split(v)) // [B, heads, Lq, depth]
        .swap_dims(1, 2)
        .reshape([batch, l, channels])
}

pub fn combine(weights: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    weights.matmul(x.swap_dims(1, 2))
}

/// Columns of a layer.
fn columns(layer: &Linear, range: std::ops::Range<usize>) -> Linear {
    Linear { weight: layer.weight.clone().slice_dim(1, range.clone()), bias: layer.bias.clone().slice_dim(0, range) }
}

fn channels(x: &Tensor<3>, part: usize, parts: usize) -> Tensor<3> {
    let width = x.dims()[2] / parts;
    x.clone().slice_dim(2, part * width..(part + 1) * width)
}

pub fn project_tokens(queries: Tensor<3>, tokens: &Tensor<3>, by: &TokenProjection) -> Tensor<3> {
    let all = by.packed.bias.dims()[0];
    let mut parts = Vec::new();
    if by.placed > 0 {
        let placed = queries.clone() + tokens.clone();
        parts.push(linear(placed, &columns(&by.packed, 0..by.placed), Activation::None, None));
    }
    if by.placed < all {
        parts.push(linear(queries, &columns(&by.packed, by.placed..all), Activation::None, None));
    }
    Tensor::cat(parts, 2)
}

fn settled(taken: Tensor<3>, residual: Option<Tensor<3>>, settle: &Settle) -> Tensor<3> {
    layer_norm(linear(taken, &settle.project, Activation::None, residual), &settle.norm, Activation::None)
}

pub fn attend_self(qkv: Tensor<3>, queries: Option<Tensor<3>>, settle: &Settle, heads: usize) -> Tensor<3> {
    let [q, k, v] = [0, 1, 2].map(|part| channels(&qkv, part, 3));
    settled(attention(q, k, v, heads), queries, settle)
}

/// Keys, queries where there are any, and values of an image's cells.
pub fn project_cells(x: Tensor<3>, encoding: Tensor<3>, by: &CellProjection) -> Tensor<3> {
    let all = by.packed.bias.dims()[0];
    let unbiased = Linear { bias: by.packed.bias.zeros_like(), ..by.packed.clone() };
    let placed = columns(&unbiased, 0..all - by.inner);
    let positions = linear(encoding, &placed, Activation::None, None);
    let [b, l, _] = positions.dims();
    let positions = Tensor::cat(vec![positions.clone(), Tensor::zeros([b, l, by.inner], &positions.device())], 2);
    linear(x, &by.packed, Activation::None, Some(positions))
}

pub fn attend_image(q: Tensor<3>, cells: Tensor<3>, queries: Tensor<3>, settle: &Settle, heads: usize) -> Tensor<3> {
    let parts = cells.dims()[2] / q.dims()[2];
    let (k, v) = (channels(&cells, 0, parts), channels(&cells, parts - 1, parts));
    settled(attention(q, k, v, heads), Some(queries), settle)
}

pub fn mlp(queries: Tensor<3>, wide: &Linear, settle: &Settle) -> Tensor<3> {
    settled(linear(queries.clone(), wide, Activation::Relu, None), Some(queries), settle)
}

pub fn attend_tokens(
    x: Tensor<3>,
    cells: Tensor<3>,
    keys_values: Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> Tensor<3> {
    let [k, v] = [0, 1].map(|part| channels(&keys_values, part, 2));
    settled(attention(channels(&cells, 1, 3), k, v, heads), Some(x), settle)
}

pub fn heads(queries: Tensor<3>, heads: &Heads) -> Tensor<3> {
    let [batch, _, width] = queries.dims();
    let networks = 1 + MASKS;
    let outputs = heads.outer_bias.dims()[0] / networks;
    let rows = (0..networks).map(|network| {
        let inner = |layer: usize| {
            let first = (layer * networks + network) * width;
            Linear {
                weight: heads.inner.clone().slice_dim(0, first..first + width),
                bias: heads.inner_bias.clone().slice_dim(0, first..first + width),
            }
        };
        let last = Linear {
            weight: heads.outer.clone().slice_dim(0, network * width..(network + 1) * width),
            bias: heads.outer_bias.clone().slice_dim(0, network * outputs..(network + 1) * outputs),
        };
        let x = queries.clone().slice([0..batch, network..network + 1]);
        let x = linear(x, &inner(0), Activation::Relu, None);
        linear(linear(x, &inner(1), Activation::Relu, None), &last, Activation::None, None)
    });
    Tensor::cat(rows.collect(), 1)
}

pub fn upscale(x: Tensor<3>, heads: Tensor<3>, [rows, columns]: [usize; 2], by: &Upscale) -> Tensor<4> {
    let [batch, cells, width] = x.dims();
    let (grid, outputs) = (cells.isqrt(), heads.dims()[2]);
    let x = x.reshape([batch, grid, grid, width]).slice([0..batch, 0..rows, 0..columns]);
    let cells = rows * columns;
    let x = linear(x.reshape([batch, cells, width]), &by.first, Activation::None, None);
    let x = x.reshape([batch, cells * 4, width / 4]);
    let x = layer_norm(x, &by.norm, Activation::Gelu);
    let x = linear(x, &by.second, Activation::Gelu, None).reshape([batch, cells * 16, outputs]);
    combine(heads.slice([0..batch, 1..1 + MASKS]), x)
        .reshape([batch * MASKS, rows, columns, 2, 2, 2, 2]) // row, column, row', column', row'', column''
        .permute([0, 1, 3, 5, 2, 4, 6])
        .reshape([batch, MASKS, rows * 4, columns * 4])
}
