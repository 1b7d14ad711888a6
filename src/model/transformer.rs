//! The two-way transformer between prompt tokens and image tokens (segment_anything/modeling/transformer.py).
//!
//! Each image token is its embedding plus, as a key or a query, its positional encoding. A projection is linear, so
//! `(keys + pe)·W` is `keys·W + pe·W`, and the second term is a constant of the model: it is computed once for each
//! grid ([`Positions`]) and enters as the residual of the projection. In the first layer the keys do not depend on the
//! prompt either (unless it holds a mask), so the whole projection is computed once for each image ([`Projected`]).

use burn::tensor::Tensor;

use super::EMBEDDING;
use super::ops::{self, Activation, Linear, Norm};
use super::weights::Weights;
use crate::Result;

const HEADS: usize = 8;
/// Width of the cross attentions.
const INNER: usize = EMBEDDING / 2;
const MLP: usize = 2048;

/// Two layers and a last look at the image.
pub struct TwoWayTransformer {
    layers: Vec<Layer>,
    final_attn_token_to_image: Attention,
    norm_final_attn: Norm,
}

struct Layer {
    self_attn: Attention,
    norm1: Norm,
    cross_attn_token_to_image: Attention,
    norm2: Norm,
    lin1: Linear,
    lin2: Linear,
    norm3: Norm,
    cross_attn_image_to_token: Attention,
    norm4: Norm,
}

struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
}

/// The projected positional encodings of one grid, `[1, L, 128]` each: constants of the model.
#[derive(Clone)]
pub struct Positions {
    /// For each layer: of the keys of token→image, of the queries of image→token.
    layers: Vec<(Tensor<3>, Tensor<3>)>,
    /// Of the keys of the last token→image attention.
    last: Tensor<3>,
}

/// What a layer needs of the image tokens, `[B, L, 128]` each.
#[derive(Clone)]
pub struct Projected {
    /// Keys and values of token→image.
    keys: Tensor<3>,
    values: Tensor<3>,
    /// Queries of image→token.
    queries: Tensor<3>,
}

impl TwoWayTransformer {
    /// Reads `mask_decoder.transformer.*`.
    pub fn load(weights: &Weights) -> Result<Self> {
        let layers = (0..2).map(|i| Layer::load(&weights.under(format!("layers.{i}")))).collect::<Result<_>>()?;
        Ok(TwoWayTransformer {
            layers,
            final_attn_token_to_image: Attention::load(&weights.under("final_attn_token_to_image"), INNER)?,
            norm_final_attn: weights.layer_norm("norm_final_attn", EMBEDDING)?,
        })
    }

    /// The constants of one grid, from its positional encoding `[1, L, 256]`.
    pub fn positions(&self, encoding: Tensor<3>) -> Positions {
        // Without the bias, which the projection of the embedding adds.
        let project = |layer: &Linear| {
            let unbiased = Linear { bias: layer.bias.zeros_like(), ..layer.clone() };
            ops::linear(encoding.clone(), &unbiased, Activation::None, None)
        };
        let layers = self.layers.iter().map(|layer| {
            (project(&layer.cross_attn_token_to_image.k_proj), project(&layer.cross_attn_image_to_token.q_proj))
        });
        Positions { layers: layers.collect(), last: project(&self.final_attn_token_to_image.k_proj) }
    }

    /// The first layer's view of image tokens `[B, L, 256]`.
    pub fn project(&self, keys: Tensor<3>, positions: &Positions) -> Projected {
        self.layers[0].project(keys, &positions.layers[0])
    }

    /// # Shapes
    /// `tokens [B, T, 256]`, `keys [B or 1, L, 256]` with their `first` projections → tokens and image tokens, attended:
    /// `[B, T, 256]`, `[B, L, 256]`
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        keys: Tensor<3>,
        first: Projected,
        positions: &Positions,
    ) -> (Tensor<3>, Tensor<3>) {
        let (mut queries, mut keys) = self.layers[0].forward(None, tokens.clone(), keys, first);
        for (layer, positions) in self.layers.iter().zip(&positions.layers).skip(1) {
            let projected = layer.project(keys.clone(), positions);
            (queries, keys) = layer.forward(Some(queries), tokens.clone(), keys, projected);
        }
        let attention = &self.final_attn_token_to_image;
        let q = attention.queries(queries.clone() + tokens);
        let k = ops::linear(keys.clone(), &attention.k_proj, Activation::None, Some(positions.last.clone()));
        let v = ops::linear(keys.clone(), &attention.v_proj, Activation::None, None);
        let queries = attention.attend(q, k, v, Some(queries));
        (ops::layer_norm(queries, &self.norm_final_attn, Activation::None), keys)
    }
}

impl Layer {
    fn load(weights: &Weights) -> Result<Self> {
        let norm = |name| weights.layer_norm(name, EMBEDDING);
        Ok(Layer {
            self_attn: Attention::load(&weights.under("self_attn"), EMBEDDING)?,
            norm1: norm("norm1")?,
            cross_attn_token_to_image: Attention::load(&weights.under("cross_attn_token_to_image"), INNER)?,
            norm2: norm("norm2")?,
            lin1: weights.linear("mlp.lin1", EMBEDDING, MLP)?,
            lin2: weights.linear("mlp.lin2", MLP, EMBEDDING)?,
            norm3: norm("norm3")?,
            cross_attn_image_to_token: Attention::load(&weights.under("cross_attn_image_to_token"), INNER)?,
            norm4: norm("norm4")?,
        })
    }

    fn project(&self, keys: Tensor<3>, (k, q): &(Tensor<3>, Tensor<3>)) -> Projected {
        let (to_image, to_token) = (&self.cross_attn_token_to_image, &self.cross_attn_image_to_token);
        Projected {
            keys: ops::linear(keys.clone(), &to_image.k_proj, Activation::None, Some(k.clone())),
            values: ops::linear(keys.clone(), &to_image.v_proj, Activation::None, None),
            queries: ops::linear(keys, &to_token.q_proj, Activation::None, Some(q.clone())),
        }
    }

    /// `queries` is `None` in the first layer, whose self-attention sees the bare tokens: no positional addition and no
    /// residual.
    fn forward(
        &self,
        queries: Option<Tensor<3>>,
        tokens: Tensor<3>,
        keys: Tensor<3>,
        image: Projected,
    ) -> (Tensor<3>, Tensor<3>) {
        let norm = |x, norm| ops::layer_norm(x, norm, Activation::None);
        let attention = &self.self_attn;
        let placed = queries.clone().map_or(tokens.clone(), |q| q + tokens.clone());
        let (q, k) = (attention.queries(placed.clone()), attention.keys(placed));
        let v = attention.values(queries.clone().unwrap_or_else(|| tokens.clone()));
        let queries = norm(attention.attend(q, k, v, queries), &self.norm1);

        let attention = &self.cross_attn_token_to_image;
        let q = attention.queries(queries.clone() + tokens.clone());
        let queries = norm(attention.attend(q, image.keys, image.values, Some(queries)), &self.norm2);

        let hidden = ops::linear(queries.clone(), &self.lin1, Activation::Relu, None); // [B, T, 2048]
        let queries = norm(ops::linear(hidden, &self.lin2, Activation::None, Some(queries)), &self.norm3);

        let attention = &self.cross_attn_image_to_token;
        let (k, v) = (attention.keys(queries.clone() + tokens), attention.values(queries.clone()));
        let keys = norm(attention.attend(image.queries, k, v, Some(keys)), &self.norm4);
        (queries, keys)
    }
}

impl Attention {
    fn load(weights: &Weights, inner: usize) -> Result<Self> {
        Ok(Attention {
            q_proj: weights.linear("q_proj", EMBEDDING, inner)?,
            k_proj: weights.linear("k_proj", EMBEDDING, inner)?,
            v_proj: weights.linear("v_proj", EMBEDDING, inner)?,
            out_proj: weights.linear("out_proj", inner, EMBEDDING)?,
        })
    }

    fn queries(&self, x: Tensor<3>) -> Tensor<3> {
        ops::linear(x, &self.q_proj, Activation::None, None)
    }

    fn keys(&self, x: Tensor<3>) -> Tensor<3> {
        ops::linear(x, &self.k_proj, Activation::None, None)
    }

    fn values(&self, x: Tensor<3>) -> Tensor<3> {
        ops::linear(x, &self.v_proj, Activation::None, None)
    }

    /// Attention, projected back to 256 channels, plus `residual`.
    fn attend(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        ops::linear(ops::attention(q, k, v, HEADS), &self.out_proj, Activation::None, residual)
    }
}
