//! Matrix products and norms.

use burn::tensor::Tensor;

use super::super::{Activation, Linear, Norm};
use super::{Factor, Floats, Matrix, TILE, activate, finish, for_chunks, product, sum, tensor, vectorised};

/// Rows of a tile at least: with fewer, the weights would be fetched from memory faster than they are used.
const ROWS: usize = 64;

pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, k] = x.dims();
    let n = layer.weight.dims()[1];
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&layer.weight), Floats::of(&layer.bias));
    let residual = residual.map(|r| Floats::of(&r));
    let factor = Factor::new(&weight, [k, n], b * l);
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
    linear(layer_norm(x, norm, Activation::None), layer, activation, None)
}

pub fn layer_norm(x: Tensor<3>, norm: &Norm, activation: Activation) -> Tensor<3> {
    let shape = x.dims();
    let c = shape[2];
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&norm.weight), Floats::of(&norm.bias));
    let epsilon = norm.epsilon as f32;
    let mut out = vec![0.0; x.len()];
    let rows = (TILE / c).max(1);
    for_chunks(&mut out, rows * c, |i, out| {
        let x = &x[i * rows * c..][..out.len()];
        vectorised(|| {
            for (x, out) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
                let mean = sum(x, |x| x) / c as f32;
                let variance = sum(x, |x| (x - mean) * (x - mean)) / c as f32;
                let scale = 1.0 / (variance + epsilon).sqrt();
                for (((out, x), w), b) in out.iter_mut().zip(x).zip(&*weight).zip(&*bias) {
                    *out = (x - mean) * scale * w + b;
                }
                activate(out, activation);
            }
        });
    });
    tensor(out, shape)
}

pub fn combine(weights: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let ([b, masks, c], l) = (weights.dims(), x.dims()[1]);
    let (weights, x) = (Floats::of(&weights), Floats::of(&x));
    let mut out = vec![0.0; b * masks * l];
    for_chunks(&mut out, masks * l, |i, out| {
        let (a, b) = (Matrix::rows(&weights[i * masks * c..], c), Matrix::rows(&x[i * l * c..], c).transposed());
        product([masks, l, c], out, l, false, a, b, 1.0);
    });
    tensor(out, [b, masks, l])
}
