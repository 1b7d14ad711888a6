//! The two-way transformer between prompt tokens and image tokens (segment_anything/modeling/transformer.py).
//!
//! Each image token is its embedding plus, as a key or a query, its positional encoding. A projection is linear, so
//! `(keys + pe)·W` is `keys·W + pe·W`, and the second term is a constant of the model: it is computed once for each
//! grid ([`Positions`]) and enters as the residual of the projection. In the first layer the keys do not depend on the
//! prompt either (unless it holds a mask), so the whole projection is computed once for each image ([`Projected`]).

use burn::tensor::Tensor;

use super::EMBEDDING;
use super::ops::{self, Activation, Linear, Norm, Queries};
use super::weights::Weights;
use crate::Result;

const HEADS: usize = 8;
/// Width of the cross attentions.
const INNER: usize = EMBEDDING / 2;
const MLP: usize = 2048;

/// Two layers and a last look at the image.
pub struct TwoWayTransformer {
    layers: [Layer; 2],
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
    layers: [(Tensor<3>, Tensor<3>); 2],
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
        let layer = |i: usize| Layer::load(&weights.under(format!("layers.{i}")));
        Ok(TwoWayTransformer {
            layers: [layer(0)?, layer(1)?],
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
        let of = |layer: &Layer| {
            (project(&layer.cross_attn_token_to_image.k_proj), project(&layer.cross_attn_image_to_token.q_proj))
        };
        Positions { layers: self.layers.each_ref().map(of), last: project(&self.final_attn_token_to_image.k_proj) }
    }

    /// The first layer's view of image tokens `[1, L, 256]` that no prompt has touched yet.
    pub fn project(&self, x: Tensor<3>, positions: &Positions) -> Projected {
        let Layer { cross_attn_token_to_image: to_image, cross_attn_image_to_token: to_token, .. } = &self.layers[0];
        let (k, q) = &positions.layers[0];
        Projected {
            keys: ops::linear(x.clone(), &to_image.k_proj, Activation::None, Some(k.clone())),
            values: ops::linear(x.clone(), &to_image.v_proj, Activation::None, None),
            queries: ops::linear(x, &to_token.q_proj, Activation::None, Some(q.clone())),
        }
    }

    /// # Shapes
    /// `tokens [B, T, 256]`, image `x [B or 1, L, 256]`, with its [projections](Self::project) where they are known →
    /// tokens and image, attended: `[B, T, 256]`, `[B, L, 256]`
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        x: Tensor<3>,
        first: Option<Projected>,
        positions: &Positions,
    ) -> (Tensor<3>, Tensor<3>) {
        let [layer0, layer1] = &self.layers;
        let [positions0, positions1] = &positions.layers;
        let (queries, x) = layer0.forward(None, &tokens, x, first, positions0);
        let (queries, x) = layer1.forward(Some(queries), &tokens, x, None, positions1);
        let attention = &self.final_attn_token_to_image;
        let q = attention.queries(queries.clone() + tokens);
        let mixed =
            ops::attend_image(q, x.clone(), &attention.k_proj, positions.last.clone(), &attention.v_proj, HEADS);
        let queries = attention.project(mixed, Some(queries));
        (ops::layer_norm(queries, &self.norm_final_attn, Activation::None), x)
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

    /// `queries` is `None` in the first layer, whose self-attention sees the bare tokens: no positional addition and no
    /// residual.
    fn forward(
        &self,
        queries: Option<Tensor<3>>,
        tokens: &Tensor<3>,
        x: Tensor<3>,
        projected: Option<Projected>,
        (key_positions, query_positions): &(Tensor<3>, Tensor<3>),
    ) -> (Tensor<3>, Tensor<3>) {
        let norm = |x, norm| ops::layer_norm(x, norm, Activation::None);
        let attention = &self.self_attn;
        let placed = queries.clone().map_or(tokens.clone(), |q| q + tokens.clone());
        let (q, k) = (attention.queries(placed.clone()), attention.keys(placed));
        let v = attention.values(queries.clone().unwrap_or_else(|| tokens.clone()));
        let queries = norm(attention.project(ops::attention(q, k, v, HEADS), queries), &self.norm1);

        let attention = &self.cross_attn_token_to_image;
        let q = attention.queries(queries.clone() + tokens.clone());
        let mixed = match &projected {
            Some(image) => ops::attention(q, image.keys.clone(), image.values.clone(), HEADS),
            None => {
                let Attention { k_proj, v_proj, .. } = attention;
                ops::attend_image(q, x.clone(), k_proj, key_positions.clone(), v_proj, HEADS)
            }
        };
        let queries = norm(attention.project(mixed, Some(queries)), &self.norm2);

        let hidden = ops::linear(queries.clone(), &self.lin1, Activation::Relu, None); // [B, T, 2048]
        let queries = norm(ops::linear(hidden, &self.lin2, Activation::None, Some(queries)), &self.norm3);

        let attention = &self.cross_attn_image_to_token;
        let (k, v) = (attention.keys(queries.clone() + tokens.clone()), attention.values(queries.clone()));
        let q = match projected {
            Some(image) => Queries::Known(image.queries),
            None => Queries::Of(&attention.q_proj, query_positions.clone()),
        };
        let x = ops::attend_tokens(x, q, k, v, &attention.out_proj, HEADS);
        (queries, norm(x, &self.norm4))
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

    /// What was attended to, projected back to 256 channels, plus `residual`.
    fn project(&self, mixed: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        ops::linear(mixed, &self.out_proj, Activation::None, residual)
    }
}
