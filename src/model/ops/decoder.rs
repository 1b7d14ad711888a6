//! The steps of the mask decoder: of tokens that look at each other and at an image's cells, of cells that look back, and
//! of what becomes of both.
//!
//! On a GPU a step is one launch or two, because a few tokens are too little work for more; on the CPU it is made of the
//! operations beside it. Weights that one launch needs lie side by side.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use super::cpu;
#[cfg(feature = "webgpu")]
use super::gpu;
use super::{Linear, Norm, on_device};

/// Masks for each prompt.
pub const MASKS: usize = 4;

/// Projections of tokens, side by side. Those that ask or are asked where something stands see the tokens with their places
/// added, the others see what the tokens hold alone.
#[derive(Clone, Debug)]
pub struct TokenProjection {
    /// `[in, N]`, `[N]`: the placed ones first.
    pub packed: Linear,
    /// How many columns of `packed` are of placed tokens.
    pub placed: usize,
    /// The placed and the others apart.
    #[cfg(feature = "cpu")]
    pub apart: [Option<Linear>; 2],
}

/// Projections of an image's cells: the keys of tokens → image, with positions; the queries of image → tokens, with
/// positions, where cells look back; the values.
#[derive(Clone, Debug)]
pub struct CellProjection {
    /// Keys, queries, values: `[in, n·inner]`.
    pub packed: Linear,
    /// `[in, inner]`, and so the next two.
    #[cfg(feature = "cpu")]
    pub keys: Linear,
    /// Where cells look back.
    #[cfg(feature = "cpu")]
    pub queries: Option<Linear>,
    /// Without positions.
    #[cfg(feature = "cpu")]
    pub values: Linear,
    /// Channels of each.
    pub inner: usize,
}

/// The projected positions of a grid's cells: constants of the model.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // handles, of which there are a few, each moved once
pub enum CellPositions {
    /// Of keys and queries side by side, `[1, L, n·inner]`.
    Packed(Tensor<3>),
    /// `[1, inner, L]` each.
    Apart {
        /// What is added to the keys.
        keys: Tensor<3>,
        /// What is added to the queries, where cells look back.
        queries: Option<Tensor<3>>,
    },
}

/// What attention needs of an image's cells.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // handles, of which there are a few, each moved once
pub enum Projected {
    /// Keys, queries, values side by side: `[B or 1, L, n·inner]`.
    Packed(Tensor<3>),
    /// One tensor each.
    Apart {
        /// With positions, `[B or 1, inner, L]`.
        keys: Tensor<3>,
        /// With positions, where cells look back, `[B or 1, inner, L]`.
        queries: Option<Tensor<3>>,
        /// Without positions, `[B or 1, L, inner]`.
        values: Tensor<3>,
    },
    /// Not projected, because a few tokens are weighed against all cells in less work without: `x [B or 1, L, C]`.
    Pending {
        /// The cells.
        x: Tensor<3>,
        /// What would project them.
        by: CellProjection,
        /// What would be added.
        positions: CellPositions,
    },
}

/// What tokens or cells do with what they took up: `LayerNorm(residual + project(taken))`, and what the next step wants
/// projected.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Of what was taken up.
    pub project: Linear,
    /// Of the sum.
    pub norm: Norm,
    /// For the next step, if it wants one.
    pub next: Option<TokenProjection>,
    /// The bias of `project`, weight and bias of `norm`, the bias of `next`: one after another.
    pub vectors: Tensor<1>,
}

/// The networks on the output tokens, three layers each with ReLU between them: one for the predicted IoU, one for each
/// mask.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Apart.
    #[cfg(feature = "cpu")]
    pub networks: Vec<[Linear; 3]>,
    /// The first two layers of all, `[2·networks·in, in]` and `[2·networks·in]`, layer by layer.
    pub inner: Tensor<2>,
    /// Theirs, in the same order.
    pub inner_bias: Tensor<1>,
    /// The last layers, `[networks·in, out]` and `[networks·out]`, zero where a network has fewer outputs.
    pub outer: Tensor<2>,
    /// Theirs, in the same order.
    pub outer_bias: Tensor<1>,
}

/// Two transposed 2×2 convolutions of stride 2.
#[derive(Clone, Debug)]
pub struct Upscale {
    /// `[C, 4·C/4]`, outputs ordered by row, column, channel.
    pub first: Linear,
    /// Between the two.
    pub norm: Norm,
    /// `[C/4, 4·C/8]`.
    pub second: Linear,
    /// The bias of `first`, the bias of `second`, weight and bias of `norm`: one after another.
    pub vectors: Tensor<1>,
}

/// Projects tokens.
///
/// # Shapes
/// `queries, tokens [B, T, C]` → `[B, T, N]`
pub fn project_tokens(queries: Tensor<3>, tokens: &Tensor<3>, by: &TokenProjection) -> Tensor<3> {
    on_device!(queries, project_tokens(queries, tokens, by))
}

/// Attention of a prompt's tokens to each other. `queries` are what the tokens held before, if anything.
///
/// # Shapes
/// `qkv [B, T, 3·C]`, `queries, tokens [B, T, C]` → tokens `[B, T, C]` and their next projection
///
/// # Panics
/// If `settle` has no next projection.
pub fn attend_self(
    qkv: Tensor<3>,
    queries: Option<Tensor<3>>,
    tokens: &Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> (Tensor<3>, Tensor<3>) {
    on_device!(qkv, attend_self(qkv, queries, tokens, settle, heads))
}

/// The projected positions of a grid.
///
/// # Shapes
/// `encoding [1, L, C]`
pub fn project_positions(encoding: Tensor<3>, by: &CellProjection) -> CellPositions {
    on_device!(encoding, project_positions(encoding, by))
}

/// Projects an image's cells, for many prompts.
///
/// # Shapes
/// `x [B or 1, L, C]`
pub fn project_cells(x: Tensor<3>, by: &CellProjection, positions: &CellPositions) -> Projected {
    on_device!(x, project_cells(x, by, positions))
}

/// Projects an image's cells for one look at them, or leaves it, where that is less work.
///
/// # Shapes
/// `x [B or 1, L, C]`
pub fn cells_once(x: Tensor<3>, by: &CellProjection, positions: &CellPositions) -> Projected {
    #[cfg(feature = "cpu")]
    if cpu::owns(&x) {
        return Projected::Pending { x, by: by.clone(), positions: positions.clone() };
    }
    project_cells(x, by, positions)
}

/// Attention of tokens to an image's cells.
///
/// # Shapes
/// `q [B, T, inner]`, `queries [B, T, C]` → `[B, T, C]`
pub fn attend_image(q: Tensor<3>, cells: &Projected, queries: Tensor<3>, settle: &Settle, heads: usize) -> Tensor<3> {
    on_device!(q, attend_image(q, cells, queries, settle, heads))
}

/// `LayerNorm(queries + MLP(queries))` with ReLU within.
///
/// # Shapes
/// `queries, tokens [B, T, C]`, `wide [C, hidden]` → tokens `[B, T, C]` and their next projection
///
/// # Panics
/// If `settle` has no next projection.
pub fn mlp(queries: Tensor<3>, tokens: &Tensor<3>, wide: &Linear, settle: &Settle) -> (Tensor<3>, Tensor<3>) {
    on_device!(queries, mlp(queries, tokens, wide, settle))
}

/// Attention of an image's cells to tokens, whose keys and values lie side by side.
///
/// # Shapes
/// `x [B or 1, L, C]`, `keys_values [B, T, 2·inner]` → `[B, L, C]`
pub fn attend_tokens(
    x: Tensor<3>,
    cells: &Projected,
    keys_values: Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> Tensor<3> {
    on_device!(x, attend_tokens(x, cells, keys_values, settle, heads))
}

/// What the networks say of the output tokens, which are the first of each prompt's.
///
/// # Shapes
/// `queries [B, T, C]` → `[B, 1 + MASKS, out]`; the first row holds the predicted IoU of the masks and then zeros
pub fn heads(queries: Tensor<3>, heads: &Heads) -> Tensor<3> {
    on_device!(queries, heads(queries, heads))
}

/// The masks of each prompt: what its networks say, times the upscaled cells, of the grid's first `[rows, columns]`.
///
/// # Shapes
/// `x [B, grid², C]`, `heads [B, 1 + MASKS, out]` → `[B, MASKS, 4·rows, 4·columns]`
pub fn upscale(x: Tensor<3>, heads: Tensor<3>, seen: [usize; 2], by: &Upscale) -> Tensor<4> {
    on_device!(x, upscale(x, heads, seen, by))
}
