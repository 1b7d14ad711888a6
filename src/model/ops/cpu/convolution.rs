//! 3×3 convolutions, and the two blocks built around one.

use burn::tensor::Tensor;

use super::super::super::bands::Haloed;
use super::super::{Activation, Bottleneck, Conv3x3, Depthwise3x3};
use super::{Factor, Floats, Matrix, activate, finish, for_chunks, tensor, vectorised};

/// Rows of a map that are the row above them. A photo that is no square is padded, and of a part of the map in which all rows
/// are alike one is computed and the rest copied: to the last bit the same, as a row's numbers do not depend on its place.
struct Repeats(Vec<bool>);

impl Repeats {
    /// Of a map whose rows have `width` numbers.
    fn of(x: &[f32], width: usize) -> Self {
        let rows = x.chunks_exact(width);
        Repeats(std::iter::once(false).chain(rows.clone().zip(rows.skip(1)).map(|(above, row)| above == row)).collect())
    }

    /// Whether a 3×3 convolution gives for the row at `centre` what it gave for the one `stride` rows above: all that either
    /// sees is there, and alike.
    fn around(&self, centre: usize, stride: usize) -> bool {
        centre > stride && self.0.get(centre - stride..centre + 2).is_some_and(|rows| rows.iter().all(|same| *same))
    }
}

pub fn conv3x3(x: impl Into<Haloed>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let Haloed { rows: x, above, below } = x.into();
    let [h, w, c] = x.dims();
    let n = conv.weight.dims()[1];
    let (out_h, out_w) = ((h - above - below).div_ceil(stride), w.div_ceil(stride));
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&conv.weight), Floats::of(&conv.bias));
    let factor = Factor::new(Matrix::rows(&weight, n), [9 * c, n], out_h * out_w);
    let mut out = vec![0.0; out_h * out_w * n];
    let repeats = Repeats::of(&x, w * c);
    let repeated = |y: usize| y > 0 && repeats.around(above + y * stride, stride);
    for_chunks(&mut out, out_w * n, |y, out| {
        if repeated(y) {
            return;
        }
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
    for y in (1..out_h).filter(|y| repeated(*y)) {
        out.copy_within((y - 1) * out_w * n..y * out_w * n, y * out_w * n);
    }
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
    /// Channels whose sums are in registers while the neighbours are gone through.
    const CHANNELS: usize = 16;
    let c = bias.len();
    for (column, out) in out.chunks_exact_mut(c).enumerate() {
        // The neighbours that there are, and the weights that they have.
        let (mut taps, mut count) = ([(bias, bias); 9], 0);
        for (ky, row) in rows.iter().enumerate() {
            let Some(row) = row else { continue };
            for kx in 0..3 {
                let Some(source) = (column * stride + kx).checked_sub(1).filter(|x| x * c < row.len()) else {
                    continue;
                };
                taps[count] = (&row[source * c..][..c], &weight[(ky * 3 + kx) * c..][..c]);
                count += 1;
            }
        }
        let taps = &taps[..count];
        let (whole, rest) = out.as_chunks_mut::<CHANNELS>();
        let done = whole.len() * CHANNELS;
        for ((i, out), bias) in whole.iter_mut().enumerate().zip(bias.as_chunks::<CHANNELS>().0) {
            let mut sums = *bias;
            for (x, w) in taps {
                let (x, w) = (&x.as_chunks::<CHANNELS>().0[i], &w.as_chunks::<CHANNELS>().0[i]);
                sums.iter_mut().zip(x).zip(w).for_each(|((sum, x), w)| *sum += x * w);
            }
            *out = sums;
        }
        for (i, out) in rest.iter_mut().enumerate() {
            *out = taps.iter().fold(bias[done + i], |sum, (x, w)| sum + x[done + i] * w[done + i]);
        }
        activate(out, activation);
    }
}

pub fn depthwise3x3(x: impl Into<Haloed>, conv: &Depthwise3x3) -> Tensor<3> {
    let Haloed { rows: x, above, below } = x.into();
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

/// Rows of output that one thread computes: each band expands two more rows of input than it needs. A worker of a browser
/// has one thread.
const BAND: usize = 32;

pub fn bottleneck(x: impl Into<Haloed>, block: &Bottleneck) -> Tensor<3> {
    let Haloed { rows: x, above, below } = x.into();
    let [h, w, c] = x.dims();
    let wide = block.expand.weight.dims()[1];
    let n = block.project.weight.dims()[1];
    let stride = block.stride;
    let (out_h, out_w) = ((h - above - below).div_ceil(stride), w.div_ceil(stride));
    let x = Floats::of(&x);
    let (w1, b1) = (Floats::of(&block.expand.weight), Floats::of(&block.expand.bias));
    let (w2, b2) = (Floats::of(&block.depthwise.weight), Floats::of(&block.depthwise.bias));
    let (w3, b3) = (Floats::of(&block.project.weight), Floats::of(&block.project.bias));
    let expand = Factor::new(Matrix::rows(&w1, wide), [c, wide], h * w);
    let project = Factor::new(Matrix::rows(&w3, n), [wide, n], out_h * out_w);

    let repeats = Repeats::of(&x, w * c);
    let height = if cfg!(target_family = "wasm") { out_h } else { BAND };
    let mut out = vec![0.0; out_h * out_w * n];
    for_chunks(&mut out, height * out_w * n, |band, out| {
        // Three expanded rows in a ring, and one row after the depthwise convolution: all that is ever kept.
        let mut ring = vec![0.0; 3 * w * wide];
        let mut middle = vec![0.0; out_w * wide];
        let mut expanded = 0; // rows of input below this one are in the ring, or have left it
        for i in 0..out.len() / (out_w * n) {
            let centre = above + (band * height + i) * stride;
            if i > 0 && repeats.around(centre, stride) {
                out.copy_within((i - 1) * out_w * n..i * out_w * n, i * out_w * n);
                continue;
            }
            let out = &mut out[i * out_w * n..][..out_w * n];
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
