//! Tokens and image → masks and their predicted quality (tinysam/modeling/mask_decoder.py).
//!
//! The decoder answers with four masks for each prompt. TinySAM uses the last three; the first is SAM's answer to
//! unambiguous prompts, which MobileSAM uses for boxes. Its hypernetwork costs nothing that could be measured, so all
//! four are computed and the caller takes what it wants.

use burn::tensor::Tensor;

use super::EMBEDDING;
use super::ops::{self, Activation, Linear, Norm};
use super::transformer::{Positions, Projected, TwoWayTransformer};
use super::weights::Weights;
use crate::Result;

/// Masks for each prompt.
pub const MASKS: usize = 4;
/// Channels of the upscaled map.
const UPSCALED: usize = EMBEDDING / 8;

/// The mask decoder.
pub struct MaskDecoder {
    transformer: TwoWayTransformer,
    /// The IoU token and the four mask tokens, `[1, 5, 256]`.
    output_tokens: Tensor<3>,
    upscale1: Linear,
    upscale_norm: Norm,
    upscale2: Linear,
    hypernetworks: Vec<[Linear; 3]>,
    iou_prediction_head: [Linear; 3],
}

/// What every prompt on one image shares.
#[derive(Clone)]
pub struct ImageTokens {
    /// Image embedding plus the embedding of "no mask", `[1, L, 256]`.
    keys: Tensor<3>,
    first: Projected,
    positions: Positions,
}

/// Prompts after the transformer, before anything is upscaled.
pub struct Attended {
    /// `[B, 5 + N, 256]`
    pub queries: Tensor<3>,
    /// `[B, L, 256]`
    pub keys: Tensor<3>,
}

impl MaskDecoder {
    /// Reads `mask_decoder.*`.
    pub fn load(weights: &Weights) -> Result<Self> {
        let iou_token = weights.floats("iou_token.weight", &[1, EMBEDDING])?;
        let mask_tokens = weights.floats("mask_tokens.weight", &[MASKS, EMBEDDING])?;
        let mlp = |name: String, outputs| -> Result<[Linear; 3]> {
            let layers = weights.under(name);
            Ok([
                layers.linear("layers.0", EMBEDDING, EMBEDDING)?,
                layers.linear("layers.1", EMBEDDING, EMBEDDING)?,
                layers.linear("layers.2", EMBEDDING, outputs)?,
            ])
        };
        let upscaling = weights.under("output_upscaling");
        Ok(MaskDecoder {
            transformer: TwoWayTransformer::load(&weights.under("transformer"))?,
            output_tokens: weights.place([iou_token, mask_tokens].concat(), [1, 1 + MASKS, EMBEDDING]),
            upscale1: upscaling.transposed2x2("0", EMBEDDING, EMBEDDING / 4)?,
            upscale_norm: upscaling.layer_norm_2d("1", EMBEDDING / 4)?,
            upscale2: upscaling.transposed2x2("3", EMBEDDING / 4, UPSCALED)?,
            hypernetworks: (0..MASKS)
                .map(|i| mlp(format!("output_hypernetworks_mlps.{i}"), UPSCALED))
                .collect::<Result<_>>()?,
            iou_prediction_head: mlp("iou_prediction_head".into(), MASKS)?,
        })
    }

    /// The constants of one grid, from its positional encoding `[1, L, 256]`.
    pub fn positions(&self, encoding: Tensor<3>) -> Positions {
        self.transformer.positions(encoding)
    }

    /// What every prompt on this image shares.
    ///
    /// # Shapes
    /// `embedding [1, L, 256]`, `no_mask [1, 1, 256]`
    pub fn prepare(&self, embedding: Tensor<3>, no_mask: Tensor<3>, positions: Positions) -> ImageTokens {
        let keys = embedding + no_mask;
        let first = self.transformer.project(keys.clone(), &positions);
        ImageTokens { keys, first, positions }
    }

    /// The transformer over a batch of prompts.
    ///
    /// # Shapes
    /// `sparse [B, N, 256]`; `masked [B, L, 256]`, where the prompts hold masks: the image embedding plus the embedded
    /// masks
    pub fn attend(&self, image: &ImageTokens, sparse: Tensor<3>, masked: Option<Tensor<3>>) -> Attended {
        let [batch, _, _] = sparse.dims();
        let output_tokens = self.output_tokens.clone().expand([batch, 1 + MASKS, EMBEDDING]);
        let tokens = Tensor::cat(vec![output_tokens, sparse], 1); // [B, 5 + N, 256]
        let (x, first) = match masked {
            None => (image.keys.clone(), Some(image.first.clone())),
            Some(x) => (x, None),
        };
        let (queries, keys) = self.transformer.forward(tokens, x, first, &image.positions);
        Attended { queries, keys }
    }

    /// Predicted IoU of the four masks of each prompt, `[B, 4]`. They depend on the tokens alone: a prompt whose scores
    /// are all too low need not be upscaled.
    pub fn scores(&self, attended: &Attended) -> Tensor<2> {
        let batch = attended.queries.dims()[0];
        let iou_token = attended.queries.clone().slice([0..batch, 0..1]); // [B, 1, 256]
        mlp(&self.iou_prediction_head, iou_token).squeeze_dim(1)
    }

    /// Low-res logits of the four masks of each prompt, `[B, 4, S/4, S/4]`, of an image of model side `S`.
    pub fn masks(&self, attended: &Attended) -> Tensor<4> {
        let [batch, cells, _] = attended.keys.dims();
        let grid = cells.isqrt();
        let hyper = (0..MASKS)
            .map(|i| mlp(&self.hypernetworks[i], attended.queries.clone().slice([0..batch, 1 + i..2 + i])))
            .collect();
        let hyper = Tensor::cat(hyper, 1); // [B, 4, 32]

        // A transposed 2×2 convolution is a linear layer that makes four cells of one. They stay where they are, side
        // by side in the channels, until there is only a mask to be put in order.
        let x = ops::linear(attended.keys.clone(), &self.upscale1, Activation::None, None);
        let x = x.reshape([batch, cells * 4, EMBEDDING / 4]);
        let x = ops::layer_norm(x, &self.upscale_norm, Activation::Gelu);
        let x = ops::linear(x, &self.upscale2, Activation::Gelu, None);
        let x = x.reshape([batch, cells * 16, UPSCALED]);
        ops::combine(hyper, x) // [B, 4, 16·L]
            .reshape([batch * MASKS, grid, grid, 2, 2, 2, 2]) // row, column, row', column', row'', column''
            .permute([0, 1, 3, 5, 2, 4, 6])
            .reshape([batch, MASKS, grid * 4, grid * 4])
    }
}

/// Three linear layers with ReLU between them.
fn mlp(layers: &[Linear; 3], x: Tensor<3>) -> Tensor<3> {
    let x = ops::linear(x, &layers[0], Activation::Relu, None);
    let x = ops::linear(x, &layers[1], Activation::Relu, None);
    ops::linear(x, &layers[2], Activation::None, None)
}
