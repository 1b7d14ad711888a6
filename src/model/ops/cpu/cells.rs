//! Attention between an image's cells and a few tokens, either way.
//!
//! Neither keys, queries nor values of the cells need be made: `q·(x·K)ᵀ` is `(q·Kᵀ)·xᵀ`, and `softmax·(x·V)` is
//! `(softmax·x)·V`. With fewer rows of `heads·tokens` than a projection has columns, that is less work than projecting
//! every cell.
//!
//! Scores have a row for each head and token, `[heads·T, cells]`, so that loops run along the cells. What of the cells is as
//! narrow as a token's part is wanted channel by channel, `[inner, L]`: so it is multiplied as it lies.

use std::ops::Range;

use burn::tensor::Tensor;

use super::super::Linear;
use super::super::decoder::Settle;
use super::attention::exponentials;
use super::linear::Normal;
use super::math::exp_all;
use super::{Activation, Factor, Floats, Matrix, finish, for_chunks, for_chunks_with, product, tensor, vectorised};

/// Cells at a time. In WebAssembly what is made of them fits the second-level cache; `gemm` lays out both factors of each
/// product anew, which more cells make worth while.
const CELLS: usize = if cfg!(target_family = "wasm") { 64 } else { 512 };

/// `x [B, L, C]` → `[B, C, L]`.
pub fn turned(x: Tensor<3>) -> Tensor<3> {
    let [batch, rows, columns] = x.dims();
    let x = Floats::of(&x);
    let mut out = vec![0.0; x.len()];
    for_chunks(&mut out, rows, |i, out| {
        let column = &x[i / columns * rows * columns + i % columns..];
        out.iter_mut().zip(column.iter().step_by(columns)).for_each(|(to, from)| *to = *from);
    });
    tensor(out, [batch, columns, rows])
}

/// Tokens `rows [T, inner]`, taken head by head through that head's share of `weight [C, inner]`: `[heads·T, C]`.
fn absorb(rows: &[f32], weight: &Linear, heads: usize) -> Vec<f32> {
    let [channels, inner] = weight.weight.dims();
    let (tokens, depth) = (rows.len() / inner, inner / heads);
    let weight = Floats::of(&weight.weight);
    let mut absorbed = vec![0.0; heads * tokens * channels];
    for (head, out) in absorbed.chunks_exact_mut(tokens * channels).enumerate() {
        let a = Matrix::rows(&rows[head * depth..], inner);
        let b = Matrix::rows(&weight[head * depth..], inner).transposed();
        product([tokens, channels, depth], out, channels, false, a, b, 1.0);
    }
    absorbed
}

/// What cells are weighed by.
struct Scores<'a> {
    heads: usize,
    /// Of the tokens, `[T, inner]`.
    rows: &'a [f32],
    /// Of the cells, `[inner, L]`.
    known: &'a [f32],
    /// Channels of `known`.
    inner: usize,
    /// What is not in `known`.
    rest: Option<Unprojected<'a>>,
}

/// Cells that were not projected, and tokens that have absorbed the projection.
struct Unprojected<'a> {
    /// `[L, C]`.
    x: &'a [f32],
    /// `[C, heads·T]`.
    absorbed: Factor<'a>,
    /// What the projection's bias adds to each row of scores, `[heads·T]`.
    constants: Vec<f32>,
    channels: usize,
}

impl<'a> Unprojected<'a> {
    /// `absorbed` is [`absorb`] of `rows` and `weight`.
    fn new(x: &'a [f32], rows: &[f32], weight: &Linear, absorbed: &'a [f32], heads: usize) -> Self {
        let [channels, inner] = weight.weight.dims();
        let (bias, depth) = (Floats::of(&weight.bias), inner / heads);
        let constants = (0..heads).flat_map(|head| {
            let bias = &bias[head * depth..][..depth];
            rows.chunks_exact(inner).map(move |row| row[head * depth..].iter().zip(bias).map(|(a, b)| a * b).sum())
        });
        let constants = constants.collect();
        let turned = Matrix::rows(absorbed, channels).transposed();
        let absorbed = Factor::new(turned, [channels, absorbed.len() / channels], x.len() / channels);
        Unprojected { x, absorbed, constants, channels }
    }
}

impl Scores<'_> {
    /// Scores of some cells: `out` has a row of them for each head and token, `stride` apart.
    fn of(&self, cells: Range<usize>, out: &mut [f32], stride: usize) {
        let Scores { heads, rows, known, inner, .. } = *self;
        let (tokens, all, depth) = (rows.len() / inner, known.len() / inner, inner / heads);
        let scale = 1.0 / (depth as f32).sqrt();
        for head in 0..heads {
            let a = Matrix::rows(&rows[head * depth..], inner);
            let b = Matrix::rows(&known[head * depth * all + cells.start..], all);
            let out = &mut out[head * tokens * stride..];
            product([tokens, cells.len(), depth], out, stride, false, a, b, scale);
        }
        let Some(Unprojected { x, absorbed, constants, channels }) = &self.rest else { return };
        let mut block = vec![0.0; CELLS * heads * tokens];
        for first in cells.clone().step_by(CELLS) {
            let count = CELLS.min(cells.end - first);
            let block = &mut block[..count * heads * tokens];
            absorbed.product(count, block, Matrix::rows(&x[first * channels..], *channels));
            for (row, constant) in constants.iter().enumerate() {
                let out = &mut out[row * stride + first - cells.start..][..count];
                for (score, x) in out.iter_mut().zip(block[row..].iter().step_by(heads * tokens)) {
                    *score += (x + constant) * scale;
                }
            }
        }
    }
}

/// The keys and values of cells.
pub enum Looked<'a> {
    /// Keys `[B or 1, inner, L]`, with positions, and values `[B or 1, L, inner]`.
    Known(Tensor<3>, Tensor<3>),
    /// To be projected from the cells `[B or 1, L, C]`: keys, with positions `[1, inner, L]`, and values.
    Of(Tensor<3>, &'a Linear, Tensor<3>, &'a Linear),
}

/// Attention of tokens to cells.
///
/// # Shapes
/// `q [B, T, inner]` → `[B, T, inner]`
pub fn look(q: Tensor<3>, at: Looked<'_>, heads: usize) -> Tensor<3> {
    let [batch, tokens, inner] = q.dims();
    let q = Floats::of(&q);
    let mut out = vec![0.0; batch * tokens * inner];
    let depth = inner / heads;
    match at {
        Looked::Known(keys, values) => {
            let ([kb, _, cells], [vb, ..]) = (keys.dims(), values.dims());
            let (keys, values) = (Floats::of(&keys), Floats::of(&values));
            for_chunks(&mut out, tokens * inner, |i, out| {
                let rows = &q[i * tokens * inner..][..tokens * inner];
                let known = of(&keys, kb, i);
                let weights = weights(&Scores { heads, rows, known, inner, rest: None }, cells);
                let values = of(&values, vb, i);
                for (head, weights) in weights.chunks_exact(tokens * cells).enumerate() {
                    let (a, b) = (Matrix::rows(weights, cells), Matrix::rows(&values[head * depth..], inner));
                    product([tokens, depth, cells], &mut out[head * depth..], inner, false, a, b, 1.0);
                }
            });
        }
        Looked::Of(x, k, positions, v) => {
            let [xb, cells, channels] = x.dims();
            let (x, positions) = (Floats::of(&x), Floats::of(&positions));
            let (v_weight, v_bias) = (Floats::of(&v.weight), Floats::of(&v.bias));
            for_chunks(&mut out, tokens * inner, |i, out| {
                let rows = &q[i * tokens * inner..][..tokens * inner];
                let x = of(&x, xb, i);
                let absorbed = absorb(rows, k, heads);
                let rest = Some(Unprojected::new(x, rows, k, &absorbed, heads));
                let weights = weights(&Scores { heads, rows, known: &positions, inner, rest }, cells);
                let mut mixed = vec![0.0; heads * tokens * channels]; // softmax·x, before the values' projection
                let (a, b) = (Matrix::rows(&weights, cells), Matrix::rows(x, channels));
                product([heads * tokens, channels, cells], &mut mixed, channels, false, a, b, 1.0);
                for (head, mixed) in mixed.chunks_exact(tokens * channels).enumerate() {
                    let part = head * depth;
                    let (a, b) = (Matrix::rows(mixed, channels), Matrix::rows(&v_weight[part..], inner));
                    product([tokens, depth, channels], &mut out[part..], inner, false, a, b, 1.0);
                }
                vectorised(|| finish(out, &v_bias, None, Activation::None));
            });
        }
    }
    tensor(out, [batch, tokens, inner])
}

/// Element `i` of a batch, or the only one.
fn of(x: &[f32], batch: usize, i: usize) -> &[f32] {
    let one = x.len() / batch;
    &x[if batch == 1 { 0 } else { i * one }..][..one]
}

/// The softmax of each row of scores, `[heads·T, cells]`.
fn weights(scores: &Scores<'_>, cells: usize) -> Vec<f32> {
    let rows = scores.heads * scores.rows.len() / scores.inner;
    let mut weights = vec![0.0; rows * cells];
    scores.of(0..cells, &mut weights, cells);
    let mut scales = vec![0.0; rows];
    vectorised(|| {
        exponentials(&mut weights, cells, &mut scales);
        for (row, scale) in weights.chunks_exact_mut(cells).zip(&scales) {
            row.iter_mut().for_each(|x| *x *= scale);
        }
    });
    weights
}

/// The queries of cells.
pub enum Looking<'a> {
    /// Projected before, with positions, `[B or 1, inner, L]`.
    Known(Tensor<3>),
    /// To be projected from the cells, with positions `[1, inner, L]`.
    Of(&'a Linear, Tensor<3>),
}

/// `LayerNorm(x + attention of cells to tokens)`; what is mixed for a cell is never made: values are taken through the
/// projection before they are mixed.
///
/// # Shapes
/// `x [B or 1, L, C]`, `k, v [B, T, inner]` → `[B, L, C]`
pub fn look_back(
    x: Tensor<3>,
    by: Looking<'_>,
    k: Tensor<3>,
    v: Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> Tensor<3> {
    let ([xb, cells, channels], [batch, tokens, inner]) = (x.dims(), k.dims());
    let depth = inner / heads;
    let (x, k, v) = (Floats::of(&x), Floats::of(&k), Floats::of(&v));
    let (layer, known) = match by {
        Looking::Known(queries) => (None, queries),
        Looking::Of(layer, positions) => (Some(layer), positions),
    };
    let (kb, known) = (known.dims()[0], Floats::of(&known));
    let (weight, bias) = (Floats::of(&settle.project.weight), Floats::of(&settle.project.bias));
    let norm = Normal::of(&settle.norm);
    let mut out = vec![0.0; batch * cells * channels];
    for (i, out) in out.chunks_exact_mut(cells * channels).enumerate() {
        let (rows, x, known) = (of(&k, batch, i), of(&x, xb, i), of(&known, kb, i));
        let absorbed = layer.map(|layer| absorb(rows, layer, heads));
        let rest = layer.zip(absorbed.as_deref());
        let rest = rest.map(|(layer, absorbed)| Unprojected::new(x, rows, layer, absorbed, heads));
        let scores = Scores { heads, rows, known, inner, rest };
        // Each token's values, taken through their head's share of the projection: [heads·T, C].
        let mut values = vec![0.0; heads * tokens * channels];
        for (head, values) in values.chunks_exact_mut(tokens * channels).enumerate() {
            let a = Matrix::rows(&of(&v, batch, i)[head * depth..], inner);
            let b = Matrix::rows(&weight[head * depth * channels..], channels);
            product([tokens, channels, depth], values, channels, false, a, b, 1.0);
        }
        let values = Factor::new(Matrix::rows(&values, channels), [heads * tokens, channels], cells);
        for_chunks_with(out, CELLS * channels, |weights: &mut Vec<f32>, chunk, out| {
            let (first, count) = (chunk * CELLS, out.len() / channels);
            weights.resize(heads * tokens * count, 0.0);
            scores.of(first..first + count, weights, count);
            vectorised(|| weights.chunks_exact_mut(tokens * count).for_each(|head| softmax_columns(head, count)));
            values.product(count, out, Matrix::rows(weights, count).transposed());
            let x = &x[first * channels..][..out.len()];
            vectorised(|| {
                finish(out, &bias, Some(x), Activation::None);
                norm.normalise(out, Activation::None);
            });
        });
    }
    tensor(out, [batch, cells, channels])
}

/// Softmax down each of `width` columns, no more than [`CELLS`].
#[inline(always)]
fn softmax_columns(scores: &mut [f32], width: usize) {
    let (mut top, mut total) = ([f32::NEG_INFINITY; CELLS], [0.0f32; CELLS]);
    for row in scores.chunks_exact(width) {
        top.iter_mut().zip(row).for_each(|(top, x)| *top = if *top > *x { *top } else { *x });
    }
    for row in scores.chunks_exact_mut(width) {
        row.iter_mut().zip(&top).for_each(|(x, top)| *x -= top);
    }
    exp_all(scores);
    for row in scores.chunks_exact(width) {
        total.iter_mut().zip(row).for_each(|(total, x)| *total += x);
    }
    total.iter_mut().for_each(|x| *x = 1.0 / *x);
    for row in scores.chunks_exact_mut(width) {
        row.iter_mut().zip(&total).for_each(|(x, scale)| *x *= scale);
    }
}
