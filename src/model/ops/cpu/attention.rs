//! Attention within windows, and of everything to everything. Between an image's cells and tokens: `cells.rs`.

use burn::tensor::Tensor;

use super::super::Window;
use super::math::exp_all;
use super::{Floats, Matrix, for_chunks, product, sum, tensor, vectorised};

/// Softmax of each row of `cells` scores, without the division: the reciprocal sums go to `scales`.
#[inline(always)]
pub fn exponentials(scores: &mut [f32], cells: usize, scales: &mut [f32]) {
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
        row.iter_mut().for_each(|x| *x -= top);
        exp_all(row);
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
