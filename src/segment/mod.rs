//! What a person asks for: load, embed, segment, everything.
//!
//! All coordinates are original pixels: of the picture after its EXIF orientation, origin top left. Boxes are
//! `[x, y, width, height]` everywhere.
//!
//! ```no_run
//! # async fn example(bytes: Vec<u8>, image: tinysam::image::Image) -> tinysam::Result<()> {
//! use tinysam::{checkpoint::Checkpoint, segment::{Prompt, Sam}};
//!
//! let device = tinysam::Device::flex();
//! let sam = Sam::load(&Checkpoint::from_bytes(bytes)?, &device)?;
//! let embedding = sam.embed(&image, 1024)?;
//! let masks = sam.segment(&embedding, &[Prompt::point(300.0, 300.0)]).await?;
//! println!("{} pixels, score {}", masks[0].best().area, masks[0].best().score);
//! # Ok(())
//! # }
//! ```

mod everything;
mod mask;
mod prompt;
mod trace;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use crate::checkpoint::Checkpoint;
use crate::image::{Frame, Image, normalise_and_pad, resize};
use crate::model::{self, MASKS, Probe, TinySam};
use crate::{Error, Result};

pub use everything::{Batch, Options as EverythingOptions};
pub use mask::{Answer, Mask};
pub use prompt::Prompt;
pub use trace::{Sink, TracedPrompt};

/// Prompts decoded at once.
///
/// On WebGPU the largest buffer of a prompt is its upscaled map, 8 MiB at side 1024
/// ([`MaskDecoder::masks`](model::MaskDecoder::masks)), and no more than 128 MiB are promised to a binding: sixteen. On
/// the CPU a batch gains nothing once its products are large, and memory that WebAssembly has taken it never gives back.
pub const BATCH: usize = if cfg!(feature = "webgpu") { 16 } else { 4 };

/// A model, ready to segment. Clones share it.
#[derive(Clone)]
pub struct Sam {
    model: Arc<TinySam>,
}

/// An encoded picture: as many prompts as wanted can be asked of it.
#[derive(Clone)]
pub struct Embedding {
    model: model::Embedding,
    frame: Frame,
}

impl Embedding {
    /// The places of the picture in original and model pixels.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Sam {
    /// Builds the model from a checkpoint, on a device.
    ///
    /// # Errors
    /// `checkpoint_mismatch` if a tensor is missing or of another shape.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        Ok(Sam { model: Arc::new(TinySam::load(checkpoint, device)?) })
    }

    /// Encodes a picture, which the network sees at `side` pixels (a multiple of 64 up to 1024).
    ///
    /// On a GPU this returns when the work is handed over, not when it is done; [`Sam::finish`] waits for it.
    ///
    /// # Errors
    /// `option_invalid` for a side that cannot be, `image_too_large`.
    pub fn embed(&self, image: &Image, side: u32) -> Result<Embedding> {
        let frame = Frame::new(image.width(), image.height(), side)?;
        let pixels = normalise_and_pad(&resize(image, &frame)?, &frame);
        let model = self.model.encode(self.pixels(pixels, side), &mut Probe::off())?;
        Ok(Embedding { model, frame })
    }

    /// `[S, S, 3]` on the device.
    fn pixels(&self, values: Vec<f32>, side: u32) -> Tensor<3> {
        let side = side as usize;
        Tensor::from_data(TensorData::new(values, [side, side, 3]), self.model.device())
    }

    /// Waits until an embedding is really there.
    ///
    /// # Errors
    /// As the device has them: `device_lost`, `out_of_memory`.
    pub async fn finish(&self, embedding: &Embedding) -> Result<()> {
        // One number of the embedding cannot be read before all of it has been computed.
        read(embedding.model.image.clone().slice([0..1, 0..1, 0..1])).await.map(drop)
    }

    /// Answers each prompt with its three masks.
    ///
    /// # Errors
    /// `prompt_invalid` for a prompt that cannot be, before anything is computed; as the device has them.
    pub async fn segment(&self, embedding: &Embedding, prompts: &[Prompt]) -> Result<Vec<Answer>> {
        let inputs: Vec<_> = prompts.iter().map(|p| p.resolve(&embedding.frame)).collect::<Result<_>>()?;
        let mut answers = Vec::with_capacity(prompts.len());
        let mut rest = 0..prompts.len();
        while !rest.is_empty() {
            // A batch ends where the number of tokens changes, or where masks begin or end.
            let alike = |i: &usize| {
                inputs[*i].tokens() == inputs[rest.start].tokens()
                    && prompts[*i].mask.is_some() == prompts[rest.start].mask.is_some()
            };
            let length = rest.clone().take(BATCH).take_while(alike).count();
            let batch = rest.start..rest.start + length;
            let attended = self.attend(embedding, &inputs[batch.clone()], &prompts[batch.clone()]);
            let decoder = &self.model.mask_decoder;
            let (scores, masks) = read_both(decoder.scores(&attended), decoder.masks(&attended)).await?;
            let per_prompt = masks.len() / length;
            for (scores, masks) in scores.chunks_exact(MASKS).zip(masks.chunks_exact(per_prompt)) {
                answers.push(Answer::new(embedding.frame, scores, masks));
            }
            rest.start = batch.end;
        }
        Ok(answers)
    }

    /// The transformer over prompts of one shape.
    fn attend(&self, embedding: &Embedding, inputs: &[model::Prompt], prompts: &[Prompt]) -> model::Attended {
        let side = embedding.frame.low_res_side() as usize;
        let masks: Vec<f32> = prompts.iter().filter_map(|p| p.mask.as_ref()).flatten().copied().collect();
        let masks = (!masks.is_empty())
            .then(|| Tensor::from_data(TensorData::new(masks, [prompts.len(), side, side]), self.model.device()));
        self.model.attend(&embedding.model, inputs, masks)
    }
}

/// Reads a tensor back.
async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    floats(tensor.into_data_async().await.map_err(|e| device_error(&e.to_string()))?)
}

/// Reads two tensors back in one journey to the device.
async fn read_both<const D: usize, const E: usize>(a: Tensor<D>, b: Tensor<E>) -> Result<(Vec<f32>, Vec<f32>)> {
    let data = Transaction::default().register(a).register(b).execute_async().await;
    let data: [TensorData; 2] = data
        .map_err(|e| device_error(&e.to_string()))?
        .try_into()
        .map_err(|all: Vec<_>| Error::Internal(format!("{} tensors came back for two", all.len())))?;
    let [a, b] = data.map(floats);
    Ok((a?, b?))
}

fn floats(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec::<f32>().map_err(|e| Error::Internal(format!("{e:?}")))
}

/// What a device says when it fails, in one line, sorted by what the caller can do about it.
fn device_error(text: &str) -> Error {
    // The runtime adds a backtrace, of which nobody who reads the sentence has any use.
    let told = text.split("Backtrace").next().unwrap_or(text);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = told.to_lowercase();
    if lower.contains("memory") {
        Error::OutOfMemory(format!("{told}; use a smaller size or a smaller picture"))
    } else if lower.contains("lost") || lower.contains("poisoned") {
        Error::DeviceLost(told)
    } else {
        Error::Internal(told)
    }
}
