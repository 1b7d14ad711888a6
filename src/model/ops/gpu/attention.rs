//! Attention with a running softmax: each thread keeps one query, its largest score so far, and the weighted sum of the
//! values under it (Milakov & Gimelshein, arXiv 1805.02867). No score is ever stored.

use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::super::Window;
use super::linear::lanes;
use super::{LANES, buffer, cubes, empty, tensor};

/// Below every score.
const LOWEST: f32 = -1e30;

pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    let [h, w, packed] = qkv.dims();
    let heads = window.bias.dims()[0];
    let channels = packed / 3;
    let (rows, columns) = (h.div_ceil(window.side), w.div_ceil(window.side));
    let (qkv, bias, pad) = (buffer(&qkv), buffer(&window.bias), buffer(&window.pad));
    let out = empty(&qkv, [h, w, channels]);
    let units = rows * columns * heads * window.side * window.side;
    let (count, dim) = cubes(&qkv, units);
    let depth = channels / heads;
    // SAFETY: a thread beyond the last window, or on a padded cell, ends at once; padded keys are read from `pad`.
    unsafe {
        window_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            qkv.into_buffer_arg(),
            bias.into_buffer_arg(),
            pad.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            units,
            h,
            w,
            window.side,
            heads,
            columns,
            1.0 / (depth as f32).sqrt(),
            depth / LANES,
        );
    }
    tensor(out)
}

/// A key's weight under the running softmax, to which its score is added: where it is the largest so far, what was summed
/// before shrinks to match.
#[cube]
#[allow(clippy::assign_op_pattern)] // the macro moves what a compound assignment changes through a reference
fn weigh<N: Size>(
    score: f32,
    largest: &mut f32,
    total: &mut f32,
    sums: &mut Array<Vector<f32, N>>,
    #[comptime] depth: usize,
) -> f32 {
    if score > *largest {
        let shrink = f32::exp(*largest - score);
        *total = *total * shrink;
        #[unroll]
        for i in 0..depth {
            sums[i] *= Vector::new(shrink);
        }
        *largest = score;
    }
    let weight = f32::exp(score - *largest);
    *total = *total + weight;
    weight
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn window_kernel<N: Size>(
    qkv: &[Vector<f32, N>],
    bias: &[f32],
    pad: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    units: usize,
    h: usize,
    w: usize,
    side: usize,
    heads: usize,
    columns: usize,
    scale: f32,
    #[comptime] depth: usize,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let cells = side * side;
    let cell = ABSOLUTE_POS % cells;
    let head = ABSOLUTE_POS / cells % heads;
    let place = ABSOLUTE_POS / cells / heads;
    let (top, left) = (place / columns * side, place % columns * side);
    let (y, x) = (top + cell / side, left + cell % side);
    if y >= h || x >= w {
        terminate!();
    }
    // A cell's packed queries, keys and values, and this head's part of them.
    let packed = heads * 3 * depth;
    let part = head * 3 * depth;
    let from = (y * w + x) * packed + part;

    let mut query = Array::<Vector<f32, N>>::new(depth);
    let mut sums = Array::<Vector<f32, N>>::new(depth);
    #[unroll]
    for i in 0..depth {
        query[i] = qkv[from + i] * Vector::new(scale);
        sums[i] = Vector::new(0.0);
    }
    let mut largest = f32::new(LOWEST);
    let mut total = f32::new(0.0);
    let biases = (head * cells + cell) * cells;
    for key in 0..cells {
        let (ky, kx) = (top + key / side, left + key % side);
        let mut score = bias[biases + key];
        if ky < h && kx < w {
            let at = (ky * w + kx) * packed + part + depth;
            let mut product = Vector::<f32, N>::new(0.0);
            #[unroll]
            for i in 0..depth {
                product += query[i] * qkv[at + i];
            }
            score += lanes::<N>(product);
        } else {
            let at = part + depth;
            let mut product = Vector::<f32, N>::new(0.0);
            #[unroll]
            for i in 0..depth {
                product += query[i] * pad[at + i];
            }
            score += lanes::<N>(product);
        }
        let weight = weigh::<N>(score, &mut largest, &mut total, &mut sums, depth);
        if ky < h && kx < w {
            let at = (ky * w + kx) * packed + part + 2 * depth;
            #[unroll]
            for i in 0..depth {
                sums[i] += Vector::new(weight) * qkv[at + i];
            }
        } else {
            let at = part + 2 * depth;
            #[unroll]
            for i in 0..depth {
                sums[i] += Vector::new(weight) * pad[at + i];
            }
        }
    }
    let to = (y * w + x) * heads * depth + head * depth;
    #[unroll]
    for i in 0..depth {
        out[to + i] = sums[i] / Vector::new(total);
    }
}

/// Keys that one thread visits: a few tokens that attend to a whole image are too few threads for a GPU, so the image is
/// shared out among more.
const SPLIT: usize = 256;

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let ([qb, lq, channels], [kb, lk, _], [vb, _, _]) = (q.dims(), k.dims(), v.dims());
    let batch = qb.max(kb).max(vb);
    let depth = channels / heads;
    let splits = lk.div_ceil(SPLIT);
    let (q, k, v) = (buffer(&q), buffer(&k), buffer(&v));
    let out = empty(&q, [splits, batch * lq, channels]);
    let weights = empty(&q, [splits, batch * lq, heads]);
    let units = batch * lq * heads;
    let (count, dim) = cubes(&q, splits * units);
    // How far the next batch element is: nowhere, where all share one.
    let step = |batches: usize, l: usize| if batches == 1 { 0 } else { l * channels / LANES };
    // SAFETY: a thread beyond the last query ends at once.
    unsafe {
        attention_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            q.into_buffer_arg(),
            k.into_buffer_arg(),
            v.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            weights.clone().into_buffer_arg(),
            splits,
            units,
            lq,
            lk,
            heads,
            step(qb, lq),
            step(kb, lk),
            step(vb, lk),
            1.0 / (depth as f32).sqrt(),
            depth / LANES,
        );
    }
    let out = if splits == 1 { out } else { merged(out, weights, heads, depth) };
    tensor(out).reshape([batch, lq, channels])
}

/// Joins what the splits found: means, and the logarithms of their weights.
fn merged(parts: CubeTensor, weights: CubeTensor, heads: usize, depth: usize) -> CubeTensor {
    let (splits, rows) = (parts.meta.shape()[0], parts.meta.shape()[1]);
    let out = empty(&parts, [1, rows, heads * depth]);
    let units = rows * heads * (depth / LANES);
    let (count, dim) = cubes(&parts, units);
    // SAFETY: a thread beyond the last vector ends at once.
    unsafe {
        merge_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            parts.into_buffer_arg(),
            weights.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            units,
            splits,
            depth / LANES,
        );
    }
    out
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn attention_kernel<N: Size>(
    q: &[Vector<f32, N>],
    k: &[Vector<f32, N>],
    v: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    weights: &mut [f32],
    splits: usize,
    units: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    q_step: usize,
    k_step: usize,
    v_step: usize,
    scale: f32,
    #[comptime] depth: usize,
) {
    let split = ABSOLUTE_POS / units;
    if split >= splits {
        terminate!();
    }
    let unit = ABSOLUTE_POS % units; // neighbours have neighbouring heads: they read a key's row together
    let head = unit % heads;
    let row = unit / heads % queries;
    let batch = unit / heads / queries;
    let width = heads * depth;
    let from = batch * q_step + row * width + head * depth;

    let mut query = Array::<Vector<f32, N>>::new(depth);
    let mut sums = Array::<Vector<f32, N>>::new(depth);
    #[unroll]
    for i in 0..depth {
        query[i] = q[from + i] * Vector::new(scale);
        sums[i] = Vector::new(0.0);
    }
    let mut largest = f32::new(LOWEST);
    let mut total = f32::new(0.0);
    for key in split * SPLIT..((split + 1) * SPLIT).min(keys) {
        let at = key * width + head * depth;
        let mut product = Vector::<f32, N>::new(0.0);
        #[unroll]
        for i in 0..depth {
            product += query[i] * k[batch * k_step + at + i];
        }
        let score = lanes::<N>(product);
        let weight = weigh::<N>(score, &mut largest, &mut total, &mut sums, depth);
        #[unroll]
        for i in 0..depth {
            sums[i] += Vector::new(weight) * v[batch * v_step + at + i];
        }
    }
    #[unroll]
    for i in 0..depth {
        out[ABSOLUTE_POS * depth + i] = sums[i] / Vector::new(total);
    }
    weights[ABSOLUTE_POS] = largest + f32::ln(total);
}

#[cube(launch_unchecked)]
fn merge_kernel<N: Size>(
    parts: &[Vector<f32, N>],
    weights: &[f32],
    out: &mut [Vector<f32, N>],
    units: usize,
    splits: usize,
    depth: usize,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let query = ABSOLUTE_POS / depth; // and head
    let queries = units / depth;
    let mut largest = f32::new(LOWEST);
    for split in 0..splits {
        largest = largest.max(weights[split * queries + query]);
    }
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut total = f32::new(0.0);
    for split in 0..splits {
        let weight = f32::exp(weights[split * queries + query] - largest);
        sum += Vector::new(weight) * parts[split * units + ABSOLUTE_POS];
        total += weight;
    }
    out[ABSOLUTE_POS] = sum / Vector::new(total);
}
