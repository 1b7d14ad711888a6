//! The steps of the mask decoder, made of the operations beside this file.

use burn::tensor::Tensor;

use super::super::Activation;
use super::super::Linear;
use super::super::decoder::{CellPositions, CellProjection, Heads, MASKS, Projected, Settle, TokenProjection, Upscale};
use super::attention::{Queries, attend_tokens_without_mixing, attend_unprojected};
use super::{attention, combine, layer_norm, linear};

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
        project(encoding.clone(), &unbiased)
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
    let placed = |layer: &Linear, positions| linear(x.clone(), layer, Activation::None, Some(positions));
    Projected::Apart {
        keys: placed(&by.keys, keys),
        queries: by.queries.as_ref().zip(queries).map(|(layer, positions)| placed(layer, positions)),
        values: project(x.clone(), &by.values),
    }
}

pub fn attend_image(q: Tensor<3>, cells: &Projected, queries: Tensor<3>, settle: &Settle, heads: usize) -> Tensor<3> {
    let taken = match cells {
        Projected::Apart { keys, values, .. } => attention(q, keys.clone(), values.clone(), heads),
        Projected::Pending { x, by, positions } if heads * q.dims()[1] < by.inner => {
            attend_unprojected(q, x.clone(), &by.keys, apart(positions).0, &by.values, heads)
        }
        Projected::Pending { x, by, positions } => {
            return attend_image(q, &project_cells(x.clone(), by, positions), queries, settle, heads);
        }
        Projected::Packed(_) => unreachable!("the CPU keeps projections apart"),
    };
    settled(taken, Some(queries), settle)
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
    let few = heads * k.dims()[1] < k.dims()[2];
    let missing = "these cells do not look back";
    let x = match cells {
        Projected::Apart { queries, .. } => {
            let q = queries.clone().expect(missing);
            if !few {
                return settled(attention(q, k, v, heads), Some(x), settle);
            }
            attend_tokens_without_mixing(x, Queries::Known(q), k, v, &settle.project, heads)
        }
        Projected::Pending { by, positions, .. } => {
            let layer = by.queries.as_ref().expect(missing);
            let positions = apart(positions).1.expect(missing);
            if !few {
                let q = linear(x.clone(), layer, Activation::None, Some(positions));
                return settled(attention(q, k, v, heads), Some(x), settle);
            }
            attend_tokens_without_mixing(x, Queries::Of(layer, positions), k, v, &settle.project, heads)
        }
        Projected::Packed(_) => unreachable!("the CPU keeps projections apart"),
    };
    layer_norm(x, &settle.norm, Activation::None)
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

pub fn upscale(x: Tensor<3>, heads: Tensor<3>, by: &Upscale) -> Tensor<4> {
    let [batch, cells, channels] = x.dims();
    let grid = cells.isqrt();
    let outputs = heads.dims()[2];
    // A transposed 2×2 convolution is a linear layer that makes four cells of one. They stay where they are, side
    // by side in the channels, until there is only a mask to be put in order.
    let x = project(x, &by.first).reshape([batch, cells * 4, channels / 4]);
    let x = layer_norm(x, &by.norm, Activation::Gelu);
    let x = linear(x, &by.second, Activation::Gelu, None).reshape([batch, cells * 16, outputs]);
    combine(heads.slice([0..batch, 1..1 + MASKS]), x) // [B, 4, 16·L]
        .reshape([batch * MASKS, grid, grid, 2, 2, 2, 2]) // row, column, row', column', row'', column''
        .permute([0, 1, 3, 5, 2, 4, 6])
        .reshape([batch, MASKS, grid * 4, grid * 4])
}
