//! Attention within windows, among tokens, and between tokens and an image.

use burn::tensor::Tensor;

use super::super::{Activation, Linear, Window};
use super::math::exp;
use super::{Floats, Matrix, finish, for_chunks, product, sum, tensor, vectorised};

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

/// `heads·tokens` rows of 256: each token's part for each head, taken through that head's share of a projection.
///
/// `rows [T, inner]` times, head by head, `weight [256, inner]ᵀ`.
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

/// Scores of tokens against cells as narrow as they are, `[heads·T, L]`: `rows [T, inner]` times `cells [L, inner]`,
/// head by head; added to what is there, or in its place.
fn narrow_scores(scores: &mut [f32], add: bool, rows: &[f32], cells: &[f32], inner: usize, heads: usize) {
    let (tokens, count, depth) = (rows.len() / inner, cells.len() / inner, inner / heads);
    let scale = 1.0 / (depth as f32).sqrt();
    for (head, scores) in scores.chunks_exact_mut(tokens * count).enumerate() {
        let a = Matrix::rows(&rows[head * depth..], inner);
        let b = Matrix::rows(&cells[head * depth..], inner).transposed();
        product([tokens, count, depth], scores, count, add, a, b, scale);
    }
}

/// Scores of an image's cells against absorbed tokens, `[heads·T, L]`: `absorbed·xᵀ`, plus the products with the
/// positions, which stay as narrow as they are.
fn image_scores(absorbed: &[f32], x: &[f32], rows: &[f32], positions: &[f32], bias: &[f32], heads: usize) -> Vec<f32> {
    let inner = bias.len();
    let (cells, tokens, depth) = (positions.len() / inner, rows.len() / inner, inner / heads);
    let channels = x.len() / cells;
    let scale = 1.0 / (depth as f32).sqrt();
    let mut scores = vec![0.0; heads * tokens * cells];
    let (a, b) = (Matrix::rows(absorbed, channels), Matrix::rows(x, channels).transposed());
    product([heads * tokens, cells, channels], &mut scores, cells, false, a, b, scale);
    narrow_scores(&mut scores, true, rows, positions, inner, heads);
    for (head, scores) in scores.chunks_exact_mut(tokens * cells).enumerate() {
        let part = head * depth;
        for (scores, row) in scores.chunks_exact_mut(cells).zip(rows.chunks_exact(inner)) {
            let constant: f32 = row[part..part + depth].iter().zip(&bias[part..]).map(|(a, b)| a * b).sum();
            scores.iter_mut().for_each(|s| *s += constant * scale);
        }
    }
    scores
}

/// Attention of a few tokens to an image whose keys and values are never made: `q·(x·K)ᵀ` is `(q·Kᵀ)·xᵀ`, and
/// `softmax·(x·V)` is `(softmax·x)·V`. With fewer rows of `heads·tokens` than a projection has columns, that is less work
/// than projecting every cell.
pub fn attend_unprojected(
    q: Tensor<3>,
    x: Tensor<3>,
    k: &Linear,
    positions: Tensor<3>,
    v: &Linear,
    heads: usize,
) -> Tensor<3> {
    let ([batch, tokens, inner], [xb, cells, channels]) = (q.dims(), x.dims());
    let depth = inner / heads;
    let (q, x, positions) = (Floats::of(&q), Floats::of(&x), Floats::of(&positions));
    let (k_bias, v_weight, v_bias) = (Floats::of(&k.bias), Floats::of(&v.weight), Floats::of(&v.bias));
    let mut out = vec![0.0; batch * tokens * inner];
    for_chunks(&mut out, tokens * inner, |i, out| {
        let q = &q[i * tokens * inner..][..tokens * inner];
        let x = &x[if xb == 1 { 0 } else { i * cells * channels }..][..cells * channels];
        let mut scores = image_scores(&absorb(q, k, heads), x, q, &positions, &k_bias, heads);
        let mut scales = vec![0.0; heads * tokens];
        vectorised(|| exponentials(&mut scores, cells, &mut scales));
        let mut mixed = vec![0.0; heads * tokens * channels]; // softmax·x, before the values' projection
        let (a, b) = (Matrix::rows(&scores, cells), Matrix::rows(x, channels));
        product([heads * tokens, channels, cells], &mut mixed, channels, false, a, b, 1.0);
        for (row, scale) in mixed.chunks_exact_mut(channels).zip(&scales) {
            row.iter_mut().for_each(|x| *x *= scale);
        }
        for (head, mixed) in mixed.chunks_exact(tokens * channels).enumerate() {
            let part = head * depth;
            let (a, b) = (Matrix::rows(mixed, channels), Matrix::rows(&v_weight[part..], inner));
            product([tokens, depth, channels], &mut out[part..], inner, false, a, b, 1.0);
        }
        for row in out.chunks_exact_mut(inner) {
            row.iter_mut().zip(&*v_bias).for_each(|(x, b)| *x += b);
        }
    });
    tensor(out, [batch, tokens, inner])
}

/// The queries of an image's cells.
pub enum Queries<'a> {
    /// Projected before, `[B or 1, L, inner]`.
    Known(Tensor<3>),
    /// To be projected from the image, with positions `[1, L, inner]`.
    Of(&'a Linear, Tensor<3>),
}

/// Attention of an image to a few tokens, projected and added to the image: what is mixed for each cell is never made,
/// and neither are queries that are not there yet; see [`attend_unprojected`].
pub fn attend_tokens_without_mixing(
    x: Tensor<3>,
    queries: Queries<'_>,
    k: Tensor<3>,
    v: Tensor<3>,
    out: &Linear,
    heads: usize,
) -> Tensor<3> {
    let ([xb, cells, channels], [batch, tokens, inner]) = (x.dims(), k.dims());
    let depth = inner / heads;
    let (x, k, v) = (Floats::of(&x), Floats::of(&k), Floats::of(&v));
    // The queries that are known, or the positions of those that are not; and what is needed to do without these.
    let (known, layer) = match &queries {
        Queries::Known(q) => (q, None),
        Queries::Of(layer, positions) => (positions, Some((*layer, Floats::of(&layer.bias)))),
    };
    let (shared, known) = (known.dims()[0] == 1, Floats::of(known));
    let (out_weight, out_bias) = (Floats::of(&out.weight), Floats::of(&out.bias));
    let mut result = vec![0.0; batch * cells * channels];
    for_chunks(&mut result, cells * channels, |i, result| {
        let (k, v) = (&k[i * tokens * inner..][..tokens * inner], &v[i * tokens * inner..][..tokens * inner]);
        let x = &x[if xb == 1 { 0 } else { i * cells * channels }..][..cells * channels];
        let known = &known[if shared { 0 } else { i * cells * inner }..][..cells * inner];
        let mut scores = match &layer {
            Some((layer, bias)) => image_scores(&absorb(k, layer, heads), x, k, known, bias, heads),
            None => {
                let mut scores = vec![0.0; heads * tokens * cells];
                narrow_scores(&mut scores, false, k, known, inner, heads);
                scores
            }
        };
        for scores in scores.chunks_exact_mut(tokens * cells) {
            vectorised(|| softmax_columns(scores, cells));
        }
        // Each token's values, taken through their head's share of the projection: [heads·tokens, channels].
        let mut values = vec![0.0; heads * tokens * channels];
        for (head, values) in values.chunks_exact_mut(tokens * channels).enumerate() {
            let a = Matrix::rows(&v[head * depth..], inner);
            let b = Matrix::rows(&out_weight[head * depth * channels..], channels);
            product([tokens, channels, depth], values, channels, false, a, b, 1.0);
        }
        let (a, b) = (Matrix::rows(&scores, cells).transposed(), Matrix::rows(&values, channels));
        product([cells, channels, heads * tokens], result, channels, false, a, b, 1.0);
        vectorised(|| finish(result, &out_bias, Some(x), Activation::None));
    });
    tensor(result, [batch, cells, channels])
}

/// Softmax down each of `width` columns.
#[inline(always)]
fn softmax_columns(scores: &mut [f32], width: usize) {
    let mut top = scores[..width].to_vec();
    for row in scores.chunks_exact(width) {
        top.iter_mut().zip(row).for_each(|(top, x)| *top = if *top > *x { *top } else { *x });
    }
    let mut total = vec![0.0f32; width];
    for row in scores.chunks_exact_mut(width) {
        for ((x, top), total) in row.iter_mut().zip(&top).zip(&mut total) {
            *x = exp(*x - top);
            *total += *x;
        }
    }
    total.iter_mut().for_each(|x| *x = 1.0 / *x);
    for row in scores.chunks_exact_mut(width) {
        row.iter_mut().zip(&total).for_each(|(x, scale)| *x *= scale);
    }
}
