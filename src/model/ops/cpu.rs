//! The operations on burn-flex, fused so that a tile of rows stays in the cache from its first product to its
//! activation, and so that no expanded feature map is ever stored whole.
//!
//! Products are `gemm`'s; the loops around them are written to be vectorised by the compiler, for the instruction set
//! found at run time natively ([`pulp`]) and for SIMD128 in WebAssembly. Tiles are shared among threads natively.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};

use super::{Activation, Bottleneck, Conv3x3, Depthwise3x3, Linear, Norm, Window};
use math::{exp, gelu};

mod math;

/// Floats of output computed at a time: with its input, a tile fits the second-level cache.
const TILE: usize = 32 * 1024;

/// Whether this tensor lives on burn-flex.
pub fn owns<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().try_into_primitive::<Flex>().is_ok()
}

/// A tensor's numbers, contiguous.
struct Floats(FlexTensor);

impl Floats {
    fn of<const D: usize>(x: &Tensor<D>) -> Self {
        let flex = x.clone().try_into_primitive::<Flex>().expect("an operation's tensors share its device");
        Floats(if flex.is_contiguous() { flex } else { flex.to_contiguous() })
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.0.as_slice::<f32>().expect("contiguous f32")
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}

/// Runs `body` compiled for the widest instruction set of this machine.
#[inline(always)]
fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Calls `body(index, chunk)` for every chunk of `size` elements, on all cores where there are threads.
fn for_chunks(out: &mut [f32], size: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| body(i, chunk));
    }
    #[cfg(target_family = "wasm")]
    out.chunks_mut(size).enumerate().for_each(|(i, chunk)| body(i, chunk));
}

/// A matrix within a slice: how far its next row and its next column are.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row, `row` floats apart.
    fn rows(data: &'a [f32], row: usize) -> Self {
        Matrix { data, row, column: 1 }
    }
    fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `out = [out +] scale·a·b` for `a [m, k]`, `b [k, n]` and `out [m, n]` whose rows are `stride` apart.
#[allow(clippy::too_many_arguments)] // a matrix product has this many sizes
fn product([m, n, k]: [usize; 3], out: &mut [f32], stride: usize, add: bool, a: Matrix, b: Matrix, scale: f32) {
    assert!(Matrix::rows(out, stride).holds(m, n) && a.holds(m, k) && b.holds(k, n));
    // SAFETY: the assertion above keeps every element that is read or written inside its slice, and `out` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `activation(rows + bias + residual)`, in place.
#[inline(always)]
fn finish(rows: &mut [f32], bias: &[f32], residual: Option<&[f32]>, activation: Activation) {
    let n = bias.len();
    match residual {
        Some(residual) => {
            for (row, residual) in rows.chunks_exact_mut(n).zip(residual.chunks_exact(n)) {
                for ((x, b), r) in row.iter_mut().zip(bias).zip(residual) {
                    *x += b + r;
                }
                activate(row, activation);
            }
        }
        None => {
            for row in rows.chunks_exact_mut(n) {
                for (x, b) in row.iter_mut().zip(bias) {
                    *x += b;
                }
                activate(row, activation);
            }
        }
    }
}

#[inline(always)]
fn activate(row: &mut [f32], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Gelu => row.iter_mut().for_each(|x| *x = gelu(*x)),
        Activation::Relu => row.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
    }
}

pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, k] = x.dims();
    let n = layer.weight.dims()[1];
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&layer.weight), Floats::of(&layer.bias));
    let residual = residual.map(|r| Floats::of(&r));
    let mut out = vec![0.0; b * l * n];
    // A tile never crosses from one batch element to the next, so that a shared residual can be indexed.
    let rows = (TILE / n).clamp(1, l);
    for (batch, out) in out.chunks_mut(l * n).enumerate() {
        let x = &x[batch * l * k..][..l * k];
        let residual = residual.as_ref().map(|r| &r[if r.len() == l * n { 0 } else { batch * l * n }..][..l * n]);
        for_chunks(out, rows * n, |i, out| {
            let (first, m) = (i * rows, out.len() / n);
            product([m, n, k], out, n, false, Matrix::rows(&x[first * k..], k), Matrix::rows(&weight, n), 1.0);
            let residual = residual.map(|r| &r[first * n..][..m * n]);
            vectorised(|| finish(out, &bias, residual, activation));
        });
    }
    tensor(out, [b, l, n])
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

/// The sum of `f` over a slice, in sixteen partial sums: exact enough, and the compiler can use vectors.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| f(*x)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub fn conv3x3(x: Tensor<3>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let [h, w, c] = x.dims();
    let n = conv.weight.dims()[1];
    let (out_h, out_w) = (h.div_ceil(stride), w.div_ceil(stride));
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&conv.weight), Floats::of(&conv.bias));
    let mut out = vec![0.0; out_h * out_w * n];
    for_chunks(&mut out, out_w * n, |y, out| {
        // The nine neighbours of each pixel of this row, side by side: [out_w, 9·c].
        let mut patches = vec![0.0; out_w * 9 * c];
        for ky in 0..3 {
            let Some(source) = (y * stride + ky).checked_sub(1).filter(|&y| y < h) else { continue };
            let source = &x[source * w * c..][..w * c];
            for (column, patch) in patches.chunks_exact_mut(9 * c).enumerate() {
                let first = (column * stride).saturating_sub(1); // the leftmost neighbour that exists
                let last = (column * stride + 2).min(w);
                let skipped = first + 1 - column * stride; // 1 at the left edge
                patch[(ky * 3 + skipped) * c..][..(last - first) * c].copy_from_slice(&source[first * c..last * c]);
            }
        }
        let (a, b) = (Matrix::rows(&patches, 9 * c), Matrix::rows(&weight, n));
        product([out_w, n, 9 * c], out, n, false, a, b, 1.0);
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

pub fn depthwise3x3(x: Tensor<3>, conv: &Depthwise3x3) -> Tensor<3> {
    let [h, w, c] = x.dims();
    let (x, weight, bias) = (Floats::of(&x), Floats::of(&conv.weight), Floats::of(&conv.bias));
    let mut out = vec![0.0; h * w * c];
    for_chunks(&mut out, w * c, |y, out| {
        let rows = std::array::from_fn(|ky| {
            let y = (y + ky).checked_sub(1).filter(|&y| y < h)?;
            Some(&x[y * w * c..][..w * c])
        });
        vectorised(|| depthwise_row(out, rows, &weight, &bias, 1, Activation::None));
    });
    tensor(out, [h, w, c])
}

/// Rows of output that one thread computes: each band expands two more rows of input than it needs.
const BAND: usize = 32;

pub fn bottleneck(x: Tensor<3>, block: &Bottleneck) -> Tensor<3> {
    let [h, w, c] = x.dims();
    let wide = block.expand.weight.dims()[1];
    let n = block.project.weight.dims()[1];
    let stride = block.stride;
    let (out_h, out_w) = (h.div_ceil(stride), w.div_ceil(stride));
    let x = Floats::of(&x);
    let (w1, b1) = (Floats::of(&block.expand.weight), Floats::of(&block.expand.bias));
    let (w2, b2) = (Floats::of(&block.depthwise.weight), Floats::of(&block.depthwise.bias));
    let (w3, b3) = (Floats::of(&block.project.weight), Floats::of(&block.project.bias));

    let mut out = vec![0.0; out_h * out_w * n];
    for_chunks(&mut out, BAND * out_w * n, |band, out| {
        // Three expanded rows in a ring, and one row after the depthwise convolution: all that is ever kept.
        let mut ring = vec![0.0; 3 * w * wide];
        let mut middle = vec![0.0; out_w * wide];
        let mut expanded = 0; // rows of input below this one are in the ring, or have left it
        for (i, out) in out.chunks_exact_mut(out_w * n).enumerate() {
            let y = band * BAND + i;
            let wanted = (y * stride).saturating_sub(1)..(y * stride + 2).min(h);
            for source in wanted.start.max(expanded)..wanted.end {
                let row = &mut ring[source % 3 * w * wide..][..w * wide];
                let a = Matrix::rows(&x[source * w * c..][..w * c], c);
                product([w, wide, c], row, wide, false, a, Matrix::rows(&w1, wide), 1.0);
                vectorised(|| finish(row, &b1, None, Activation::Gelu));
            }
            expanded = wanted.end;
            let rows = std::array::from_fn(|ky| {
                let source = (y * stride + ky).checked_sub(1).filter(|&y| y < h)?;
                Some(&ring[source % 3 * w * wide..][..w * wide])
            });
            vectorised(|| depthwise_row(&mut middle, rows, &w2, &b2, stride, Activation::Gelu));
            let (a, b) = (Matrix::rows(&middle, wide), Matrix::rows(&w3, n));
            product([out_w, n, wide], out, n, false, a, b, 1.0);
            if block.residual {
                let residual = &x[y * w * n..][..w * n];
                vectorised(|| finish(out, &b3, Some(residual), Activation::Gelu));
            } else {
                vectorised(|| finish(out, &b3, None, Activation::None));
            }
        }
    });
    tensor(out, [out_h, out_w, n])
}

/// Softmax of each row of `cells` scores, without the division: the reciprocal sums go to `scales`.
#[inline(always)]
fn exponentials(scores: &mut [f32], cells: usize, scales: &mut [f32]) {
    for (row, scale) in scores.chunks_exact_mut(cells).zip(scales) {
        let mut lanes = [f32::NEG_INFINITY; 16];
        let chunks = row.chunks_exact(16);
        let mut top = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, &b| if a > b { a } else { b });
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = if *lane > *x { *lane } else { *x };
            }
        }
        for lane in lanes {
            top = if top > lane { top } else { lane };
        }
        row.iter_mut().for_each(|x| *x = exp(*x - top));
        *scale = 1.0 / sum(row, |x| x);
    }
}

pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    let [h, w, packed] = qkv.dims();
    let (side, heads) = (window.side, window.bias.dims()[0]);
    let (cells, c) = (side * side, packed / 3);
    let depth = c / heads;
    let columns = w.div_ceil(side);
    let qkv = Floats::of(&qkv);
    let (bias, pad) = (Floats::of(&window.bias), Floats::of(&window.pad));
    let scale = 1.0 / (depth as f32).sqrt();

    let mut out = vec![0.0; h * w * c];
    for_chunks(&mut out, side * w * c, |band, out| {
        let mut cell = vec![0.0; cells * packed]; // this window's queries, keys and values
        let mut scores = vec![0.0; cells * cells];
        let mut scales = vec![0.0; cells];
        let mut mixed = vec![0.0; cells * c];
        for column in 0..columns {
            for (i, cell) in cell.chunks_exact_mut(packed).enumerate() {
                let (y, x) = (band * side + i / side, column * side + i % side);
                cell.copy_from_slice(if y < h && x < w { &qkv[(y * w + x) * packed..][..packed] } else { &pad });
            }
            for head in 0..heads {
                let part = |i: usize| Matrix::rows(&cell[(head * 3 + i) * depth..], packed);
                scores.copy_from_slice(&bias[head * cells * cells..][..cells * cells]);
                product([cells, cells, depth], &mut scores, cells, true, part(0), part(1).transposed(), scale);
                vectorised(|| exponentials(&mut scores, cells, &mut scales));
                let mixed = &mut mixed[head * depth..];
                product([cells, depth, cells], mixed, c, false, Matrix::rows(&scores, cells), part(2), 1.0);
                for (row, scale) in mixed.chunks_mut(c).zip(&scales) {
                    row[..depth].iter_mut().for_each(|x| *x *= scale);
                }
            }
            for (i, mixed) in mixed.chunks_exact(c).enumerate() {
                let (y, x) = (i / side, column * side + i % side);
                if x < w && y * w * c < out.len() {
                    out[(y * w + x) * c..][..c].copy_from_slice(mixed);
                }
            }
        }
    });
    tensor(out, [h, w, c])
}

/// The queries that one thread attends with at a time.
const QUERIES: usize = 512;

pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let ([qb, lq, c], [kb, lk, _], [vb, _, _]) = (q.dims(), k.dims(), v.dims());
    let batch = qb.max(kb).max(vb);
    let depth = c / heads;
    let (q, k, v) = (Floats::of(&q), Floats::of(&k), Floats::of(&v));
    let scale = 1.0 / (depth as f32).sqrt();
    let mut out = vec![0.0; batch * lq * c];
    for (i, out) in out.chunks_mut(lq * c).enumerate() {
        let of = |x: &'_ [f32], batches: usize, l: usize| if batches == 1 { 0 } else { i * l * c }..x.len();
        let (q, k, v) = (&q[of(&q, qb, lq)], &k[of(&k, kb, lk)], &v[of(&v, vb, lk)]);
        for_chunks(out, QUERIES * c, |chunk, out| {
            let m = out.len() / c;
            let q = &q[chunk * QUERIES * c..];
            let mut scores = vec![0.0; m * lk];
            let mut scales = vec![0.0; m];
            for head in 0..heads {
                let part = |x| Matrix::rows(x, c);
                let (q, k, v) = (part(&q[head * depth..]), part(&k[head * depth..]), part(&v[head * depth..]));
                product([m, lk, depth], &mut scores, lk, false, q, k.transposed(), scale);
                vectorised(|| exponentials(&mut scores, lk, &mut scales));
                let out = &mut out[head * depth..];
                product([m, depth, lk], out, c, false, Matrix::rows(&scores, lk), v, 1.0);
                for (row, scale) in out.chunks_mut(c).zip(&scales) {
                    row[..depth].iter_mut().for_each(|x| *x *= scale);
                }
            }
        });
    }
    tensor(out, [batch, lq, c])
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
