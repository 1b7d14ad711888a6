//! Tokens and image → masks and their predicted quality (tinysam/modeling/mask_decoder.py).
//!
//! The decoder answers with four masks for each prompt. TinySAM uses the last three; the first is SAM's answer to
//! unambiguous prompts, which MobileSAM uses for boxes. Its hypernetwork costs nothing that could be measured, so all
//! four are computed and the caller takes what it wants.

use burn::tensor::{Device, Tensor, TensorData};

use super::EMBEDDING;
use super::ops::decoder::{self, Heads, Projected, Upscale};
use super::transformer::{Image, Positions, TwoWayTransformer};
use super::weights::Weights;
use crate::Result;

pub use super::ops::decoder::MASKS;

/// Channels of the upscaled map.
const UPSCALED: usize = EMBEDDING / 8;

/// The mask decoder.
pub struct MaskDecoder {
    transformer: TwoWayTransformer,
    /// The IoU token and the four mask tokens, `5·256` numbers.
    output_tokens: Vec<f32>,
    heads: Heads,
    upscale: Upscale,
}

/// What every prompt on one image shares.
#[derive(Clone)]
pub struct ImageTokens {
    first: Projected,
    positions: Positions,
}

/// Prompts after the transformer, before anything is upscaled.
pub struct Attended {
    /// `[B, 5 + N, 256]`
    pub queries: Tensor<3>,
    /// `[B, L, 256]`
    pub keys: Tensor<3>,
    /// What the networks on the output tokens say, `[B, 5, 32]`: see [`scores`]. It depends on the tokens alone: a
    /// prompt whose scores are all too low need not be upscaled.
    pub heads: Tensor<3>,
}

/// Predicted IoU of the four masks of each prompt, of [`Attended::heads`] that were read back: `B` times four.
pub fn scores(heads: &[f32]) -> Vec<f32> {
    heads.chunks_exact((1 + MASKS) * UPSCALED).flat_map(|prompt| &prompt[..MASKS]).copied().collect()
}

impl MaskDecoder {
    /// Reads `mask_decoder.*`; `no_mask [256]` is the embedding of "no mask".
    pub fn load(weights: &Weights, no_mask: &[f32]) -> Result<Self> {
        let iou_token = weights.floats("iou_token.weight", &[1, EMBEDDING])?;
        let mask_tokens = weights.floats("mask_tokens.weight", &[MASKS, EMBEDDING])?;
        let up = "output_upscaling";
        Ok(MaskDecoder {
            transformer: TwoWayTransformer::load(&weights.under("transformer"), no_mask)?,
            output_tokens: [iou_token, mask_tokens].concat(),
            heads: weights.heads("iou_prediction_head", "output_hypernetworks_mlps", UPSCALED)?,
            upscale: weights.under(up).upscale("0", "1", "3", EMBEDDING)?,
        })
    }

    /// The constants of one grid, from its positional encoding `[1, L, 256]`.
    pub fn positions(&self, encoding: Tensor<3>) -> Positions {
        self.transformer.positions(encoding)
    }

    /// What every prompt on this image shares.
    ///
    /// # Shapes
    /// `embedding [1, L, 256]`
    pub fn prepare(&self, embedding: Tensor<3>, positions: Positions) -> ImageTokens {
        ImageTokens { first: self.transformer.project(embedding, &positions), positions }
    }

    /// The transformer over a batch of prompts.
    ///
    /// # Shapes
    /// `embedding [1, L, 256]`; `sparse`, the embedded points of `batch` prompts, `batch·N·256` numbers; `masked
    /// [B, L, 256]`, where the prompts hold masks: the image embedding plus the embedded masks
    pub fn attend(
        &self,
        embedding: &Tensor<3>,
        image: &ImageTokens,
        sparse: &[f32],
        batch: usize,
        masked: Option<Tensor<3>>,
        device: &Device,
    ) -> Attended {
        let length = sparse.len() / batch.max(1);
        let mut tokens = Vec::with_capacity(batch * (self.output_tokens.len() + length));
        for prompt in sparse.chunks_exact(length) {
            tokens.extend_from_slice(&self.output_tokens);
            tokens.extend_from_slice(prompt);
        }
        let count = tokens.len() / (batch.max(1) * EMBEDDING);
        let tokens = Tensor::from_data(TensorData::new(tokens, [batch, count, EMBEDDING]), device); // [B, 5 + N, 256]
        let (x, cells) = match masked {
            None => (embedding.clone(), Image::Bare(image.first.clone())),
            Some(x) => (x, Image::Masked),
        };
        let (queries, keys) = self.transformer.forward(tokens, x, cells, &image.positions);
        let heads = decoder::heads(queries.clone(), &self.heads);
        Attended { queries, keys, heads }
    }

    /// Low-res logits of the four masks of each prompt, `[B, 4, 4·rows, 4·columns]`, of the first `[rows, columns]` of the
    /// grid's cells; what stands in them does not depend on how many they are.
    pub fn masks(&self, attended: &Attended, seen: [usize; 2]) -> Tensor<4> {
        decoder::upscale(attended.keys.clone(), attended.heads.clone(), seen, &self.upscale)
    }
}
