//! The network and nothing else: TinySAM (arXiv 2312.13789), an image encoder, a prompt encoder and a mask decoder.
//!
//! Shapes: `S` is the model side in pixels, a multiple of 64; `L = (S/16)²` image tokens; `B` prompts of `N` embedded
//! points each. Feature maps are channels-last, `[H, W, C]`. No parameter depends on `S`.

mod bands;
mod mask_decoder;
pub mod ops;
mod probe;
mod prompt_encoder;
mod tiny_vit;
mod transformer;
mod weights;

use std::sync::Mutex;

use burn::tensor::{Device, Tensor};

use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

pub use bands::{Arriving, Band, Exchange, Haloed, Neighbours};
pub use mask_decoder::{Attended, ImageTokens, MASKS, MaskDecoder, scores};
pub use ops::{Pixels, finished};
pub use probe::Probe;
pub use prompt_encoder::{Prompt, PromptEncoder};
pub use tiny_vit::TinyVit;
use transformer::Positions;
use weights::Weights;

/// Channels of the image embedding and of every token.
pub const EMBEDDING: usize = 256;

/// The whole network on one device.
pub struct TinySam {
    /// A photo → its embedding.
    pub image_encoder: TinyVit,
    /// Points, boxes and masks → tokens.
    pub prompt_encoder: PromptEncoder,
    /// Both → logits and scores.
    pub mask_decoder: MaskDecoder,
    device: Device,
    /// The constants of the last grid used: a page rarely changes its model side.
    positions: Mutex<Option<(usize, Positions)>>,
}

/// An encoded image: all that prompts need.
#[derive(Clone)]
pub struct Embedding {
    /// `[1, L, 256]`
    pub image: Tensor<3>,
    /// What every prompt on this image shares.
    pub tokens: ImageTokens,
    /// The model side `S`.
    pub side: u32,
}

impl TinySam {
    /// Builds the network from a checkpoint, for photos whose channels have this mean and deviation, in units of a byte.
    ///
    /// # Errors
    /// `checkpoint_mismatch` if a tensor is missing, of another shape or no weight, if an int8's scale does not fit, or
    /// if a variance is negative; `checkpoint_invalid` if a value is infinite or not a number.
    pub fn load(checkpoint: &Checkpoint, channels: [[f32; 3]; 2], device: &Device) -> Result<Self> {
        let room = ops::Room::new(device);
        let weights = Weights::new(checkpoint, &room);
        let prompt_encoder = PromptEncoder::load(&weights.under("prompt_encoder"))?;
        Ok(TinySam {
            image_encoder: TinyVit::load(&weights.under("image_encoder"), channels)?,
            mask_decoder: MaskDecoder::load(&weights.under("mask_decoder"), prompt_encoder.no_mask())?,
            prompt_encoder,
            device: device.clone(),
            positions: Mutex::new(None),
        })
    }

    /// The device that the network is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Encodes the pixels of a photo, or a worker's part of it; the first worker gets what all of them have made. See
    /// [`TinyVit::forward`].
    ///
    /// # Errors
    /// `internal` if the side is not a multiple of 64; as [`Neighbours::exchange`] has them.
    pub async fn encode(
        &self,
        pixels: Pixels,
        probe: &mut Probe<'_>,
        others: &mut dyn Neighbours,
    ) -> Result<Option<Embedding>> {
        let side = pixels.side();
        if !side.is_multiple_of(64) {
            return Err(Error::Internal(format!("the encoder was given pixels of side {side}")));
        }
        let grid = side / 16;
        let image = self.image_encoder.forward(pixels, probe, others).await?;
        Ok(image.map(|image| {
            let image = image.reshape([1, grid * grid, EMBEDDING]); // [1, L, 256]
            self.embedding(image, side as u32)
        }))
    }

    /// What prompts need of an encoded image, `[1, L, 256]`, of model side `side`.
    pub fn embedding(&self, image: Tensor<3>, side: u32) -> Embedding {
        let positions = self.positions(side as usize / 16);
        let tokens = ops::keeping(&image, || self.mask_decoder.prepare(image.clone(), positions));
        Embedding { image, tokens, side }
    }

    /// Runs the transformer for prompts in model pixels, each with as many tokens as the others.
    ///
    /// # Shapes
    /// `masks [B, S/4, S/4]`, low-res logits
    pub fn attend(&self, embedding: &Embedding, prompts: &[Prompt], masks: Option<Tensor<3>>) -> Attended {
        let sparse = self.prompt_encoder.sparse(prompts, embedding.side);
        let masked = masks.map(|m| self.prompt_encoder.dense(m, Some(embedding.image.clone())));
        let (image, tokens) = (&embedding.image, &embedding.tokens);
        self.mask_decoder.attend(image, tokens, &sparse, prompts.len(), masked, &self.device)
    }

    /// The constants of a grid, computed at its first use.
    fn positions(&self, grid: usize) -> Positions {
        // A poisoned lock holds a value like any other: it is replaced whole.
        let mut last = self.positions.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((side, positions)) = &*last
            && *side == grid
        {
            return positions.clone();
        }
        let positions = self.mask_decoder.positions(self.prompt_encoder.dense_pe(grid, &self.device));
        *last = Some((grid, positions.clone()));
        positions
    }
}
