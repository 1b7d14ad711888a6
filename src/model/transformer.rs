//! The two-way transformer between prompt tokens and image tokens (segment_anything/modeling/transformer.py).
//!
//! Each image token is its embedding plus, as a key or a query, its positional encoding. A projection is linear, so
//! `(keys + pe)·W` is `keys·W + pe·W`, and the second term is a constant of the model: it is computed once for each
//! grid ([`Positions`]). The reference also adds the embedding of "no mask" to every image token where a prompt holds
//! none; that is a constant, too, and lies in the biases of what the first layer does with them. So the first layer's
//! projections do not depend on the prompt (unless it holds a mask): they are computed once for each image.

use burn::tensor::Tensor;

use super::EMBEDDING;
use super::ops::Linear;
use super::ops::decoder::{self, CellPositions, CellProjection, Projected, Settle, TokenProjection};
use super::weights::Weights;
use crate::Result;

const HEADS: usize = 8;
/// Width of the cross attentions.
const INNER: usize = EMBEDDING / 2;
const MLP: usize = 2048;

/// Two layers and a last look at the image.
pub struct TwoWayTransformer {
    layers: [Layer; 2],
    /// What the first layer does with image tokens to which "no mask" has to be added.
    bare: Cells,
    last_queries: TokenProjection,
    last_cells: CellProjection,
    last: Settle,
}

struct Layer {
    /// Queries, keys and values of the tokens' attention to each other.
    qkv: TokenProjection,
    /// After it; then come the queries of token→image.
    attended: Settle,
    cells: Cells,
    /// After token→image.
    looked: Settle,
    mlp: Linear,
    /// After the MLP; then come the keys and values of image→token.
    thought: Settle,
}

/// What a layer does with image tokens.
struct Cells {
    projection: CellProjection,
    /// After image→token.
    settle: Settle,
}

/// The projected positional encodings of one grid: constants of the model.
#[derive(Clone)]
pub struct Positions {
    layers: [CellPositions; 2],
    last: CellPositions,
}

/// Image tokens before the first layer.
#[allow(clippy::large_enum_variant)] // made once for a batch of prompts
pub enum Image {
    /// No prompt has touched them, nor has "no mask": they are projected.
    Bare(Projected),
    /// With the embedded mask of each prompt.
    Masked,
}

impl TwoWayTransformer {
    /// Reads `mask_decoder.transformer.*`; `no_mask [256]` is the embedding of "no mask".
    pub fn load(weights: &Weights, no_mask: &[f32]) -> Result<Self> {
        let layer = |i: usize| Layer::load(&weights.under(format!("layers.{i}")), i == 0);
        let last = weights.under("final_attn_token_to_image");
        Ok(TwoWayTransformer {
            layers: [layer(0)?, layer(1)?],
            bare: Cells::load(&weights.under("layers.0"), no_mask)?,
            last_queries: last.token_projection(&[("q_proj", INNER)], &[], EMBEDDING)?,
            last_cells: last.cell_projection("k_proj", None, "v_proj", [EMBEDDING, INNER], &[])?,
            last: weights.settle(("final_attn_token_to_image.out_proj", INNER), "norm_final_attn", None, &[])?,
        })
    }

    /// The constants of one grid, from its positional encoding `[1, L, 256]`.
    pub fn positions(&self, encoding: Tensor<3>) -> Positions {
        let project = |by| decoder::project_positions(encoding.clone(), by);
        Positions {
            layers: self.layers.each_ref().map(|layer| project(&layer.cells.projection)),
            last: project(&self.last_cells),
        }
    }

    /// The first layer's view of image tokens `[1, L, 256]` that no prompt has touched yet.
    pub fn project(&self, x: Tensor<3>, positions: &Positions) -> Projected {
        decoder::project_cells(x, &self.bare.projection, &positions.layers[0])
    }

    /// # Shapes
    /// `tokens [B, T, 256]`, image `x [B or 1, L, 256]` → tokens and image, attended: `[B, T, 256]`, `[B, L, 256]`
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        x: Tensor<3>,
        image: Image,
        positions: &Positions,
    ) -> (Tensor<3>, Tensor<3>) {
        let [layer0, layer1] = &self.layers;
        let (projected, cells) = match image {
            Image::Bare(projected) => (projected, &self.bare),
            Image::Masked => {
                (decoder::cells_once(x.clone(), &layer0.cells.projection, &positions.layers[0]), &layer0.cells)
            }
        };
        let (queries, x) = layer0.forward(None, &tokens, x, &projected, cells);
        let projected = decoder::cells_once(x.clone(), &layer1.cells.projection, &positions.layers[1]);
        let (queries, x) = layer1.forward(Some(queries), &tokens, x, &projected, &layer1.cells);
        let q = decoder::project_tokens(queries.clone(), &tokens, &self.last_queries);
        let projected = decoder::cells_once(x.clone(), &self.last_cells, &positions.last);
        (decoder::attend_image(q, &projected, queries, &self.last, HEADS), x)
    }
}

impl Layer {
    /// In the first layer the tokens attend to each other as they are: their places are all that they hold.
    fn load(weights: &Weights, first: bool) -> Result<Self> {
        let all = [("self_attn.q_proj", EMBEDDING), ("self_attn.k_proj", EMBEDDING), ("self_attn.v_proj", EMBEDDING)];
        let (placed, plain) = all.split_at(if first { 0 } else { 2 });
        let (queries, keys) = ("cross_attn_token_to_image.q_proj", "cross_attn_image_to_token.k_proj");
        let values = "cross_attn_image_to_token.v_proj";
        Ok(Layer {
            qkv: weights.token_projection(placed, plain, EMBEDDING)?,
            attended: weights.settle(
                ("self_attn.out_proj", EMBEDDING),
                "norm1",
                Some([&[(queries, INNER)], &[]]),
                &[],
            )?,
            cells: Cells::load(weights, &[])?,
            looked: weights.settle(("cross_attn_token_to_image.out_proj", INNER), "norm2", None, &[])?,
            mlp: weights.linear("mlp.lin1", EMBEDDING, MLP)?,
            thought: weights.settle(("mlp.lin2", MLP), "norm3", Some([&[(keys, INNER)], &[(values, INNER)]]), &[])?,
        })
    }

    /// `queries` is `None` in the first layer, whose self-attention sees the bare tokens: no positional addition and no
    /// residual.
    fn forward(
        &self,
        queries: Option<Tensor<3>>,
        tokens: &Tensor<3>,
        x: Tensor<3>,
        projected: &Projected,
        cells: &Cells,
    ) -> (Tensor<3>, Tensor<3>) {
        let held = queries.clone().unwrap_or_else(|| tokens.clone());
        let qkv = decoder::project_tokens(held, tokens, &self.qkv); // [B, T, 3·256]
        let (queries, q) = decoder::attend_self(qkv, queries, tokens, &self.attended, HEADS);
        let queries = decoder::attend_image(q, projected, queries, &self.looked, HEADS);
        let (queries, keys_values) = decoder::mlp(queries, tokens, &self.mlp, &self.thought);
        (queries, decoder::attend_tokens(x, projected, keys_values, &cells.settle, HEADS))
    }
}

impl Cells {
    /// Of image tokens on which `offset [256]` lies that is not in them; empty is none.
    fn load(layer: &Weights, offset: &[f32]) -> Result<Self> {
        let (keys, queries) = ("cross_attn_token_to_image.k_proj", "cross_attn_image_to_token.q_proj");
        let values = "cross_attn_token_to_image.v_proj";
        Ok(Cells {
            projection: layer.cell_projection(keys, Some(queries), values, [EMBEDDING, INNER], offset)?,
            settle: layer.settle(("cross_attn_image_to_token.out_proj", INNER), "norm4", None, offset)?,
        })
    }
}
