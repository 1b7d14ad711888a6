//! 3×3 convolutions, and the two blocks built around one.

use burn::tensor::Tensor;

use super::super::super::bands::Stripe;
use super::super::{Activation, Bottleneck, Conv3x3, Depthwise3x3};
use super::{Factor, Floats, Matrix, activate, finish, for_chunks, tensor, vectorised};

pub fn conv3x3(x: impl Into<Stripe>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let Stripe { rows: x, above, below } = x.into();
    let [h, w, c] = x.dims();
    let n = conv.weight.dims()[1];
    let (out_h, out_w) = ((h - above - below).div_ceil(stride), w.div_ceil(stride));
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&conv.weight), Floats::of(&conv.bias));
    let factor = Factor::new(&weight, [9 * c, n], out_h * out_w);
    let mut out = vec![0.0; out_h * out_w * n];
    for_chunks(&mut out, out_w * n, |y, out| {
        // The nine neighbours of each pixel of this row, side by side: [out_w, 9·c].
        let mut patches = vec![0.0; out_w * 9 * c];
        for ky in 0..3 {
            let Some(source) = (above + y * stride + ky).checked_sub(1).filter(|&y| y < h) else { continue };
            let source = &x[source * w * c..][..w * c];
            for (column, patch) in patches.chunks_exact_mut(9 * c).enumerate() {
                let first = (column * stride).saturating_sub(1); // the leftmost neighbour that exists
                let last = (column * stride + 2).min(w);
                let skipped = first + 1 - column * stride; // 1 at the left edge
                patch[(ky * 3 + skipped) * c..][..(last - first) * c].copy_from_slice(&source[first * c..last * c]);
            }
        }
        factor.product(out_w, out, Matrix::rows(&patches, 9 * c));
        vectorised(|| finish(out, &bias, None, activation));
    });
    tensor(out, [out_h, out_w, n])
}

/// One output row of a depthwise convolution from the (up to three) input rows around it, each `[w, c]`.
#[inline(always)]
fn depthwise_row(
    out: &mut [f32],
    rows: [Option<&[f32]>; 3],
    weight: &[f32],
    bias: &[f32],
    stride: usize,
    activation: Activation,
) {
    let c = bias.len();
    for (column, out) in out.chunks_exact_mut(c).enumerate() {
        out.copy_from_slice(bias);
        for (ky, row) in rows.iter().enumerate() {
            let Some(row) = row else { continue };
            for kx in 0..3 {
                let Some(source) = (column * stride + kx).checked_sub(1).filter(|x| x * c < row.len()) else {
                    continue;
                };
                let source = &row[source * c..][..c];
                let weight = &weight[(ky * 3 + kx) * c..][..c];
                for ((out, x), w) in out.iter_mut().zip(source).zip(weight) {
                    *out += x * w;
                }
            }
        }
        activate(out, activation);
    }
}

pub fn depthwise3x3(x: impl Into<Stripe>, conv: &Depthwise3x3) -> Tensor<3> {
    let Stripe { rows: x, above, below } = x.into();
    let [h, w, c] = x.dims();
    let out_h = h - above - below;
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&conv.weight), Floats::of(&conv.bias));
    let mut out = vec![0.0; out_h * w * c];
    for_chunks(&mut out, w * c, |y, out| {
        let rows = std::array::from_fn(|ky| {
            let y = (above + y + ky).checked_sub(1).filter(|&y| y < h)?;
            Some(&x[y * w * c..][..w * c])
        });
        vectorised(|| depthwise_row(out, rows, &weight, &bias, 1, Activation::None));
    });
    tensor(out, [out_h, w, c])
}

/// Rows of output that one thread computes: each band expands two more rows of input than it needs.
const BAND: usize = 32;

pub fn bottleneck(x: impl Into<Stripe>, block: &Bottleneck) -> Tensor<3> {
    let Stripe { rows: x, above, below } = x.into();
    let [h, w, c] = x.dims();
    let wide = block.expand.weight.dims()[1];
    let n = block.project.weight.dims()[1];
    let stride = block.stride;
    let (out_h, out_w) = ((h - above - below).div_ceil(stride), w.div_ceil(stride));
    let x = Floats::of(&x);
    let (w1, b1) = (Floats::of(&block.expand.weight), Floats::of(&block.expand.bias));
    let (w2, b2) = (Floats::of(&block.depthwise.weight), Floats::of(&block.depthwise.bias));
    let (w3, b3) = (Floats::of(&block.project.weight), Floats::of(&block.project.bias));
    let expand = Factor::new(&w1, [c, wide], h * w);
    let project = Factor::new(&w3, [wide, n], out_h * out_w);

    let mut out = vec![0.0; out_h * out_w * n];
    for_chunks(&mut out, BAND * out_w * n, |band, out| {
        // Three expanded rows in a ring, and one row after the depthwise convolution: all that is ever kept.
        let mut ring = vec![0.0; 3 * w * wide];
        let mut middle = vec![0.0; out_w * wide];
        let mut expanded = 0; // rows of input below this one are in the ring, or have left it
        for (i, out) in out.chunks_exact_mut(out_w * n).enumerate() {
            let centre = above + (band * BAND + i) * stride;
            let wanted = centre.saturating_sub(1)..(centre + 2).min(h);
            for source in wanted.start.max(expanded)..wanted.end {
                let row = &mut ring[source % 3 * w * wide..][..w * wide];
                expand.product(w, row, Matrix::rows(&x[source * w * c..], c));
                vectorised(|| finish(row, &b1, None, Activation::Gelu));
            }
            expanded = wanted.end;
            let rows = std::array::from_fn(|ky| {
                let source = (centre + ky).checked_sub(1).filter(|&y| y < h)?;
                Some(&ring[source % 3 * w * wide..][..w * wide])
            });
            vectorised(|| depthwise_row(&mut middle, rows, &w2, &b2, stride, Activation::Gelu));
            project.product(out_w, out, Matrix::rows(&middle, wide));
            if block.residual {
                let residual = &x[centre * w * n..][..w * n];
                vectorised(|| finish(out, &b3, Some(residual), Activation::Gelu));
            } else {
                vectorised(|| finish(out, &b3, None, Activation::None));
            }
        }
    });
    tensor(out, [out_h, out_w, n])
}
