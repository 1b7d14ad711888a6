//! What a person asks for: load, embed, segment, everything.
//!
//! All coordinates are original pixels: of the picture after its EXIF orientation, origin top left. Boxes are
//! `[x, y, width, height]` everywhere.
//!
//! ```no_run
//! # async fn example(bytes: Vec<u8>, image: tinysam::image::Image) -> tinysam::Result<()> {
//! use tinysam::{checkpoint::Checkpoint, segment::{Choice, Prompt, Sam}};
//!
//! let device = tinysam::Device::flex();
//! let sam = Sam::load(&Checkpoint::from_bytes(bytes)?, &device)?;
//! let embedding = sam.embed(&image, 1024, async || Ok(())).await?;
//! let prompts = [Prompt::point(300.0, 300.0)];
//! let answers = sam.segment(&embedding, &prompts, Choice::BEST, async |_| Ok(())).await?;
//! println!("{} pixels, score {}", answers[0].best().area, answers[0].best().score);
//! # Ok(())
//! # }
//! ```

mod answer;
mod crew;
mod decode;
mod everything;
mod mask;
mod prompt;
mod saved;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;

use crate::checkpoint::Checkpoint;
use crate::image::{self, Frame, Photo, resize};
use crate::model::{self, Attended, TinySam};
use crate::{Error, Result};

pub use answer::{Answer, Choice};
pub use crew::{Batch as DecodedBatch, Crew, Part, Task};
pub use everything::{Batch, Options as EverythingOptions};
pub use mask::Mask;
pub use prompt::Prompt;
pub use saved::SavedPrecision;
pub use trace::{Sink, TracedPrompt};

/// Of MobileSAM's `weights/mobile_sam.pt`.
const MOBILE_SAM_SHA256: &str = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f";

/// A model, ready to segment. Clones share it.
#[derive(Clone)]
pub struct Sam {
    model: Arc<TinySam>,
    single_for_boxes: bool,
    crew: Option<Arc<dyn Crew>>,
    /// The last prompt that was asked alone, whose mask may be a prompt at once: see [`Sam::logits`].
    last: Arc<Mutex<Option<Arc<Attended>>>>,
    /// SHA-256 of its checkpoint, in lower-case hex.
    checkpoint: Arc<str>,
}

/// An encoded picture: as many prompts as wanted can be asked of it. It holds what the network made of the picture, and no
/// pixels; what shows those, such as [`crate::export::cutout_png`], is given the photo again.
#[derive(Clone)]
pub struct Embedding {
    model: model::Embedding,
    frame: Frame,
    /// Of the model that made it.
    checkpoint: Arc<str>,
    /// Clones have the same.
    id: u32,
}

impl Embedding {
    fn new(model: model::Embedding, frame: Frame, sam: &Sam) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        Embedding { model, frame, checkpoint: sam.checkpoint.clone(), id: MADE.fetch_add(1, Ordering::Relaxed) }
    }

    /// The places of the picture in original and model pixels.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Sam {
    /// Builds the model from a checkpoint, on a device.
    ///
    /// # Errors
    /// `checkpoint_mismatch` and `checkpoint_invalid`, as [`TinySam::load`] has them.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let model = Arc::new(TinySam::load(checkpoint, [image::MEAN, image::STD], device)?);
        let checkpoint: Arc<str> = checkpoint.sha256().into();
        Ok(Sam {
            model,
            single_for_boxes: *checkpoint == *MOBILE_SAM_SHA256,
            crew: None,
            last: Arc::default(),
            checkpoint,
        })
    }

    /// The same model, answering a box with the decoder's first mask, as MobileSAM's own code does
    /// (`multimask_output=False`; mobile_sam/predictor.py of ChaoningZhang/MobileSAM), or with the best of the others, as
    /// TinySAM's. [`Sam::load`] knows MobileSAM's published file; one that was fine-tuned or converted from it is told by
    /// this.
    pub fn with_single_mask_for_boxes(self, single: bool) -> Self {
        Sam { single_for_boxes: single, ..self }
    }

    /// Encodes a picture, which the network sees at `side` pixels (a multiple of 64 up to 1024). `pause` is awaited between
    /// any two steps of the work, some thirty; an error from it ends the work.
    ///
    /// On a GPU this returns when the work is handed over, not when it is done; [`Sam::finish`] waits for it.
    ///
    /// # Errors
    /// `option_invalid` for a side that cannot be, `image_too_large`; as `pause` has them.
    pub async fn embed(
        &self,
        photo: &impl Photo,
        side: u32,
        pause: impl AsyncFnMut() -> Result<()>,
    ) -> Result<Embedding> {
        self.embed_crop(photo, [0, 0, photo.width(), photo.height()], side, pause).await
    }

    /// Encodes a part `[x, y, width, height]` of a picture, as [`Sam::embed`] encodes the whole: what is small in a large
    /// photo is seen larger. Prompts and masks stay in the picture's pixels.
    ///
    /// # Errors
    /// As [`Sam::embed`]; `option_invalid` for a part that is empty or not within the picture.
    pub async fn embed_crop(
        &self,
        photo: &impl Photo,
        crop: [u32; 4],
        side: u32,
        mut pause: impl AsyncFnMut() -> Result<()>,
    ) -> Result<Embedding> {
        let frame = Frame::of_crop(photo.width(), photo.height(), crop, side)?;
        self.keep_last(None);
        let resized = resize(photo, &frame)?;
        pause().await?;
        let model = self.encode(&resized, frame.resized.0 as usize, side as usize, pause).await?;
        Ok(Embedding::new(model, frame, self))
    }

    /// Keeps a prompt that was asked alone, or none: whenever much memory is about to be wanted, for a kept one is in its way.
    fn keep_last(&self, prompt: Option<Arc<Attended>>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = prompt;
    }

    /// Waits until an embedding is really there.
    ///
    /// # Errors
    /// As the device has them: `device_lost`, `out_of_memory`.
    pub async fn finish(&self, embedding: &Embedding) -> Result<()> {
        model::finished(&embedding.model.image).await.map_err(|told| Error::of_device(&told))
    }
}
