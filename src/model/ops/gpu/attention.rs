//! Attention with a running softmax: each thread keeps one query, its largest score so far, and the weighted sum of the
//! values under it (Milakov & Gimelshein, arXiv 1805.02867). No score is ever stored.

use burn::tensor::Tensor;
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
        if score > largest {
            let shrink = f32::exp(largest - score);
            total *= shrink;
            #[unroll]
            for i in 0..depth {
                sums[i] *= Vector::new(shrink);
            }
            largest = score;
        }
        let weight = f32::exp(score - largest);
        total += weight;
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

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let ([qb, lq, channels], [kb, lk, _], [vb, _, _]) = (q.dims(), k.dims(), v.dims());
    let batch = qb.max(kb).max(vb);
    let depth = channels / heads;
    let (q, k, v) = (buffer(&q), buffer(&k), buffer(&v));
    let out = empty(&q, [batch, lq, channels]);
    let units = batch * lq * heads;
    let (count, dim) = cubes(&q, units);
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
    tensor(out)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn attention_kernel<N: Size>(
    q: &[Vector<f32, N>],
    k: &[Vector<f32, N>],
    v: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
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
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let head = ABSOLUTE_POS % heads;
    let query_row = ABSOLUTE_POS / heads % queries;
    let batch = ABSOLUTE_POS / heads / queries;
    let width = heads * depth;
    let from = batch * q_step + query_row * width + head * depth;

    let mut query = Array::<Vector<f32, N>>::new(depth);
    let mut sums = Array::<Vector<f32, N>>::new(depth);
    #[unroll]
    for i in 0..depth {
        query[i] = q[from + i] * Vector::new(scale);
        sums[i] = Vector::new(0.0);
    }
    let mut largest = f32::new(LOWEST);
    let mut total = f32::new(0.0);
    for key in 0..keys {
        let at = key * width + head * depth;
        let mut product = Vector::<f32, N>::new(0.0);
        #[unroll]
        for i in 0..depth {
            product += query[i] * k[batch * k_step + at + i];
        }
        let score = lanes::<N>(product);
        if score > largest {
            let shrink = f32::exp(largest - score);
            total *= shrink;
            #[unroll]
            for i in 0..depth {
                sums[i] *= Vector::new(shrink);
            }
            largest = score;
        }
        let weight = f32::exp(score - largest);
        total += weight;
        #[unroll]
        for i in 0..depth {
            sums[i] += Vector::new(weight) * v[batch * v_step + at + i];
        }
    }
    let to = (batch * queries + query_row) * width + head * depth;
    #[unroll]
    for i in 0..depth {
        out[to + i] = sums[i] / Vector::new(total);
    }
}
