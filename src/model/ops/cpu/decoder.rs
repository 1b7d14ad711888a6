//! The steps of the mask decoder, made of the operations beside this file.

use burn::tensor::Tensor;

use super::super::Activation;
use super::super::Linear;
use super::super::decoder::{CellPositions, CellProjection, Heads, MASKS, Projected, Settle, TokenProjection, Upscale};
use super::cells::{Looked, Looking, look, look_back, turned};
use super::linear::Normal;
use super::{
    Factor, Floats, Matrix, attention, finish, for_chunks_with, layer_norm, linear, product, tensor, vectorised,
};

fn project(x: Tensor<3>, by: &Linear) -> Tensor<3> {
    linear(x, by, Activation::None, None)
}

/// `count` of `parts` equal parts of the channels, from the `first` on.
fn channels(x: &Tensor<3>, first: usize, count: usize, parts: usize) -> Tensor<3> {
    let part = x.dims()[2] / parts;
    x.clone().slice_dim(2, first * part..(first + count) * part)
}

pub fn project_tokens(queries: Tensor<3>, tokens: &Tensor<3>, by: &TokenProjection) -> Tensor<3> {
    let [placed, plain] = &by.apart;
    let placed = placed.as_ref().map(|by| project(queries.clone() + tokens.clone(), by));
    let plain = plain.as_ref().map(|by| project(queries, by));
    Tensor::cat([placed, plain].into_iter().flatten().collect(), 2)
}

/// `LayerNorm(residual + project(taken))`, and the next projection of that.
fn settled(taken: Tensor<3>, residual: Option<Tensor<3>>, settle: &Settle) -> Tensor<3> {
    layer_norm(linear(taken, &settle.project, Activation::None, residual), &settle.norm, Activation::None)
}

fn next(queries: Tensor<3>, tokens: &Tensor<3>, settle: &Settle) -> (Tensor<3>, Tensor<3>) {
    let by = settle.next.as_ref().expect("this step prepares the next one");
    (queries.clone(), project_tokens(queries, tokens, by))
}

pub fn attend_self(
    qkv: Tensor<3>,
    queries: Option<Tensor<3>>,
    tokens: &Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> (Tensor<3>, Tensor<3>) {
    let [q, k, v] = [0, 1, 2].map(|part| channels(&qkv, part, 1, 3));
    next(settled(attention(q, k, v, heads), queries, settle), tokens, settle)
}

pub fn project_positions(encoding: Tensor<3>, by: &CellProjection) -> CellPositions {
    // Without the bias, which the projection of the cells adds.
    let project = |layer: &Linear| {
        let unbiased = Linear { bias: layer.bias.zeros_like(), ..layer.clone() };
        turned(project(encoding.clone(), &unbiased))
    };
    CellPositions::Apart { keys: project(&by.keys), queries: by.queries.as_ref().map(project) }
}

fn apart(positions: &CellPositions) -> (Tensor<3>, Option<Tensor<3>>) {
    match positions {
        CellPositions::Apart { keys, queries } => (keys.clone(), queries.clone()),
        CellPositions::Packed(_) => unreachable!("the CPU keeps positions apart"),
    }
}

pub fn project_cells(x: Tensor<3>, by: &CellProjection, positions: &CellPositions) -> Projected {
    let (keys, queries) = apart(positions);
    let placed = |layer: &Linear, positions| turned(project(x.clone(), layer)) + positions;
    Projected::Apart {
        keys: placed(&by.keys, keys),
        queries: by.queries.as_ref().zip(queries).map(|(layer, positions)| placed(layer, positions)),
        values: project(x.clone(), &by.values),
    }
}

/// Whether so few tokens are weighed against cells in less work than the cells are projected in.
fn few(tokens: usize, inner: usize, heads: usize) -> bool {
    heads * tokens < inner
}

pub fn attend_image(q: Tensor<3>, cells: &Projected, queries: Tensor<3>, settle: &Settle, heads: usize) -> Tensor<3> {
    let looked = match cells {
        Projected::Apart { keys, values, .. } => Looked::Known(keys.clone(), values.clone()),
        Projected::Pending { x, by, positions } if few(q.dims()[1], by.inner, heads) => {
            Looked::Of(x.clone(), &by.keys, apart(positions).0, &by.values)
        }
        Projected::Pending { x, by, positions } => {
            return attend_image(q, &project_cells(x.clone(), by, positions), queries, settle, heads);
        }
        Projected::Packed(_) => unreachable!("the CPU keeps projections apart"),
    };
    settled(look(q, looked, heads), Some(queries), settle)
}

pub fn mlp(queries: Tensor<3>, tokens: &Tensor<3>, wide: &Linear, settle: &Settle) -> (Tensor<3>, Tensor<3>) {
    let hidden = linear(queries.clone(), wide, Activation::Relu, None);
    next(settled(hidden, Some(queries), settle), tokens, settle)
}

pub fn attend_tokens(
    x: Tensor<3>,
    cells: &Projected,
    keys_values: Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> Tensor<3> {
    let [k, v] = [0, 1].map(|part| channels(&keys_values, part, 1, 2));
    let missing = "these cells do not look back";
    let looking = match cells {
        Projected::Apart { queries, .. } => Looking::Known(queries.clone().expect(missing)),
        Projected::Pending { by, positions, .. } => {
            Looking::Of(by.queries.as_ref().expect(missing), apart(positions).1.expect(missing))
        }
        Projected::Packed(_) => unreachable!("the CPU keeps projections apart"),
    };
    if few(k.dims()[1], k.dims()[2], heads) {
        return look_back(x, looking, k, v, settle, heads);
    }
    let queries = match looking {
        Looking::Known(queries) => queries,
        Looking::Of(layer, positions) => turned(project(x.clone(), layer)) + positions,
    };
    settled(attention(turned(queries), k, v, heads), Some(x), settle)
}

pub fn heads(queries: Tensor<3>, heads: &Heads) -> Tensor<3> {
    let batch = queries.dims()[0];
    let outputs = heads.outer_bias.dims()[0] / heads.networks.len();
    let rows = heads.networks.iter().enumerate().map(|(i, layers)| {
        let x = queries.clone().slice([0..batch, i..i + 1]); // [B, 1, C]
        let x = linear(x, &layers[0], Activation::Relu, None);
        let x = linear(x, &layers[1], Activation::Relu, None);
        let x = linear(x, &layers[2], Activation::None, None);
        let missing = outputs - x.dims()[2];
        match missing {
            0 => x,
            _ => Tensor::cat(vec![x.clone(), Tensor::zeros([batch, 1, missing], &x.device())], 2),
        }
    });
    Tensor::cat(rows.collect(), 1)
}

pub fn upscale(x: Tensor<3>, heads: Tensor<3>, [rows, columns]: [usize; 2], by: &Upscale) -> Tensor<4> {
    let ([batch, all, channels], [_, networks, outputs]) = (x.dims(), heads.dims());
    let (grid, quarter) = (all.isqrt(), channels / 4);
    let (x, heads) = (Floats::of(&x), Floats::of(&heads));
    let [(w1, b1), (w2, b2)] = [&by.first, &by.second].map(|l| (Floats::of(&l.weight), Floats::of(&l.bias)));
    let norm = Normal::of(&by.norm);
    let first = Factor::new(Matrix::rows(&w1, channels), [channels, channels], rows * columns);
    let second = Factor::new(Matrix::rows(&w2, 4 * outputs), [quarter, 4 * outputs], 4 * rows * columns);
    let mut out = vec![0.0; batch * rows * columns * 16 * MASKS]; // [B·rows, MASKS, 4, 4·columns]
    // Some rows of cells at a time. A transposed 2×2 convolution is a linear layer that makes four cells of one; they stay
    // where they are, side by side in the channels, until there are only masks to be put in order.
    let line = MASKS * 16 * columns;
    for (prompt, out) in out.chunks_exact_mut(rows * line).enumerate() {
        let of_masks = &heads[(prompt * networks + 1) * outputs..][..MASKS * outputs];
        let of_masks = Matrix::rows(of_masks, outputs).transposed();
        for_chunks_with(out, LINES * line, |[finer, finest, masks]: &mut [Vec<f32>; 3], chunk, out| {
            let cells = out.len() / line * columns;
            finer.resize(cells * channels, 0.0); // [cells, 2, 2, C/4]
            // Cells that lie one after another.
            let run = if columns == grid { cells } else { columns };
            for (row, finer) in (chunk * LINES..).zip(finer.chunks_exact_mut(run * channels)) {
                let x = &x[(prompt * all + row * grid) * channels..];
                first.product(run, finer, Matrix::rows(x, channels));
            }
            vectorised(|| {
                finish(finer, &b1, None, Activation::None);
                norm.normalise(finer, Activation::Gelu);
            });
            finest.resize(16 * cells * outputs, 0.0); // [cells, 2, 2, 2, 2, C/8]
            second.product(4 * cells, finest, Matrix::rows(finer, quarter));
            vectorised(|| finish(finest, &b2, None, Activation::Gelu));
            masks.resize(16 * cells * MASKS, 0.0); // [cells, 2, 2, 2, 2, MASKS]
            let sizes = [16 * cells, MASKS, outputs];
            product(sizes, masks, MASKS, false, Matrix::rows(finest, outputs), of_masks, 1.0);
            for (masks, out) in masks.chunks_exact(line).zip(out.chunks_exact_mut(line)) {
                put_in_order(masks, out, columns);
            }
        });
    }
    tensor(out, [batch * rows, MASKS, 16 * columns]) // [B·rows, MASKS, 4·4·columns]
        .reshape([batch, rows, MASKS, 16 * columns])
        .swap_dims(1, 2)
        .reshape([batch, MASKS, 4 * rows, 4 * columns])
}

/// Rows of cells that are upscaled at a time: `gemm` lays out the weights anew for each.
const LINES: usize = if cfg!(target_family = "wasm") { 1 } else { 8 };

/// `[columns, 2, 2, 2, 2, MASKS]`, of the cells of a row: row and column among the four, and among the four of these →
/// `[MASKS, 4, 4·columns]`.
fn put_in_order(masks: &[f32], out: &mut [f32], columns: usize) {
    for (mask, out) in out.chunks_exact_mut(16 * columns).enumerate() {
        for (y, out) in out.chunks_exact_mut(4 * columns).enumerate() {
            for (x, out) in out.iter_mut().enumerate() {
                let (cell, x) = (x / 4, x % 4);
                let part = 8 * (y / 2) + 4 * (x / 2) + 2 * (y % 2) + x % 2;
                *out = masks[(16 * cell + part) * MASKS + mask];
            }
        }
    }
}
