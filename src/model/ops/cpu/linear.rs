//! Matrix products and norms.

use burn::tensor::Tensor;

use super::super::{Activation, Linear, Norm};
use super::{Factor, Floats, Matrix, TILE, activate, finish, for_chunks, for_chunks_with, sum, tensor, vectorised};

/// Rows of a tile at least: with fewer, the weights would be fetched from memory faster than they are used.
const ROWS: usize = 64;

pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, k] = x.dims();
    let n = layer.weight.dims()[1];
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&layer.weight), Floats::of(&layer.bias));
    let residual = residual.map(|r| Floats::of(&r));
    let factor = Factor::new(Matrix::rows(&weight, n), [k, n], b * l);
    let mut out = vec![0.0; b * l * n];
    // A tile never crosses from one batch element to the next, so that a shared residual can be indexed.
    let rows = (TILE / n).max(ROWS).min(l);
    for (batch, out) in out.chunks_mut(l * n).enumerate() {
        let x = &x[batch * l * k..][..l * k];
        let residual = residual.as_ref().map(|r| &r[if r.len() == l * n { 0 } else { batch * l * n }..][..l * n]);
        for_chunks(out, rows * n, |i, out| {
            let (first, m) = (i * rows, out.len() / n);
            factor.product(m, out, Matrix::rows(&x[first * k..], k));
            let residual = residual.map(|r| &r[first * n..][..m * n]);
            vectorised(|| finish(out, &bias, residual, activation));
        });
    }
    tensor(out, [b, l, n])
}

pub fn norm_linear(x: Tensor<3>, norm: &Norm, layer: &Linear, activation: Activation) -> Tensor<3> {
    let [b, l, k] = x.dims();
    let n = layer.weight.dims()[1];
    let (x, norm, weight, bias) =
        (Floats::of(&x), Normal::of(norm), Floats::of(&layer.weight), Floats::of(&layer.bias));
    let factor = Factor::new(Matrix::rows(&weight, n), [k, n], b * l);
    let mut out = vec![0.0; b * l * n];
    let rows = (TILE / n).max(ROWS);
    for_chunks_with(&mut out, rows * n, |normal: &mut Vec<f32>, i, out| {
        let (first, m) = (i * rows, out.len() / n);
        norm.of_rows(&x[first * k..][..m * k], normal);
        factor.product(m, out, Matrix::rows(normal, k));
        vectorised(|| finish(out, &bias, None, activation));
    });
    tensor(out, [b, l, n])
}

pub fn feed_forward(x: Tensor<3>, norm: &Norm, widen: &Linear, narrow: &Linear) -> Tensor<3> {
    let (shape, [c, wide]) = (x.dims(), widen.weight.dims());
    let (x, norm) = (Floats::of(&x), Normal::of(norm));
    let [(w1, b1), (w2, b2)] = [widen, narrow].map(|l| (Floats::of(&l.weight), Floats::of(&l.bias)));
    let widen = Factor::new(Matrix::rows(&w1, wide), [c, wide], x.len() / c);
    let narrow = Factor::new(Matrix::rows(&w2, c), [wide, c], x.len() / c);
    let mut out = vec![0.0; x.len()];
    for_chunks_with(&mut out, ROWS * c, |[normal, hidden]: &mut [Vec<f32>; 2], i, out| {
        let (x, m) = (&x[i * ROWS * c..][..out.len()], out.len() / c);
        norm.of_rows(x, normal);
        hidden.resize(m * wide, 0.0);
        widen.product(m, hidden, Matrix::rows(normal, c));
        vectorised(|| finish(hidden, &b1, None, Activation::Gelu));
        narrow.product(m, out, Matrix::rows(hidden, wide));
        vectorised(|| finish(out, &b2, Some(x), Activation::None));
    });
    tensor(out, shape)
}

pub fn layer_norm(x: Tensor<3>, norm: &Norm, activation: Activation) -> Tensor<3> {
    let shape = x.dims();
    let (x, by) = (Floats::of(&x), Normal::of(norm));
    let mut out = vec![0.0; x.len()];
    let rows = (TILE / shape[2]).max(1) * shape[2];
    for_chunks(&mut out, rows, |i, out| {
        out.copy_from_slice(&x[i * rows..][..out.len()]);
        vectorised(|| by.normalise(out, activation));
    });
    tensor(out, shape)
}

/// A [`Norm`]'s numbers.
pub struct Normal {
    weight: Floats,
    bias: Floats,
    epsilon: f32,
}

impl Normal {
    pub fn of(norm: &Norm) -> Self {
        Normal { weight: Floats::of(&norm.weight), bias: Floats::of(&norm.bias), epsilon: norm.epsilon as f32 }
    }

    /// `LayerNorm(rows)`, in the place of what `normal` holds.
    fn of_rows(&self, rows: &[f32], normal: &mut Vec<f32>) {
        normal.clear();
        normal.extend_from_slice(rows);
        vectorised(|| self.normalise(normal, Activation::None));
    }

    /// `activation(LayerNorm(rows))`, in place.
    #[inline(always)]
    pub fn normalise(&self, rows: &mut [f32], activation: Activation) {
        let (weight, bias) = (&*self.weight, &*self.bias);
        let c = weight.len();
        for row in rows.chunks_exact_mut(c) {
            let mean = sum(row, |x| x) / c as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / c as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = (*x - mean) * scale * w + b;
            }
            activate(row, activation);
        }
    }
}
