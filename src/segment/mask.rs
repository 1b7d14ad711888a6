//! A mask as it comes back: its measures and its pixels, and how to have its logits.

use std::sync::Arc;

use super::{Embedding, Prompt, Sam};
use crate::image::Frame;
use crate::mask::{Bitmap, Cutoffs, LowRes, Runs, fill_small_holes, remove_small_islands, survey};
use crate::{Error, Result};

/// One mask, of some kilobytes. Clones share them.
#[derive(Clone, Debug)]
pub struct Mask {
    /// The pixels, at original size.
    pub runs: Runs,
    /// Predicted IoU.
    pub score: f32,
    /// IoU of the mask with itself under a higher and a lower threshold, at original size.
    pub stability: f32,
    /// Pixels at original size.
    pub area: u32,
    /// The smallest box around its pixels, `[x, y, width, height]`, original pixels: a prompt like any other. All zero
    /// where there is no pixel.
    pub bbox: [u32; 4],
    /// The point of the grid that found it, in everything mode.
    pub point: Option<[f64; 2]>,
    pub(super) source: Source,
    /// Low-res logits, where they are held: of a call with one prompt, whose mask may be refined at once.
    logits: Option<Arc<[f32]>>,
    /// Whether small regions were removed: the pixels are no longer those of the logits.
    pub(super) edited: bool,
}

/// What a mask was decoded from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub prompt: Arc<Prompt>,
    /// Which of the decoder's four masks it is.
    pub token: usize,
}

impl Mask {
    /// A mask of its logits, measured; and the confident area, if the cutoffs ask for it.
    pub(super) fn measured(
        frame: &Frame,
        source: Source,
        score: f32,
        logits: LowRes<'_>,
        cutoffs: &Cutoffs,
    ) -> (Self, Option<Bitmap>) {
        let found = survey(logits, frame, cutoffs);
        let mask = Mask {
            runs: Runs::encode(&found.bitmap),
            score,
            stability: found.stability,
            area: found.area,
            bbox: found.bbox,
            point: None,
            source,
            logits: None,
            edited: false,
        };
        (mask, found.confident)
    }

    /// With its logits at hand.
    pub(super) fn holding(self, logits: &[f32]) -> Self {
        Mask { logits: Some(logits.into()), ..self }
    }

    /// The pixels, a bit for each, at original size.
    pub fn bitmap(&self) -> Bitmap {
        self.runs.bitmap()
    }

    /// Without its holes and islands of fewer than `area` pixels.
    pub fn without_small_regions(mut self, area: u32) -> Self {
        let mut bitmap = self.bitmap();
        let filled = fill_small_holes(&mut bitmap, area);
        if remove_small_islands(&mut bitmap, area) || filled {
            (self.area, self.bbox, self.edited) = (bitmap.area(), bitmap.bbox(), true);
            self.runs = Runs::encode(&bitmap);
        }
        self
    }
}

impl std::borrow::Borrow<Runs> for Mask {
    fn borrow(&self) -> &Runs {
        &self.runs
    }
}

impl Sam {
    /// Low-res logits of a mask of this embedding, `[S/4, S/4]`: a prompt for a refinement. Those of a mask that came
    /// with others are not kept, and decoded again.
    ///
    /// # Errors
    /// As the device has them.
    pub async fn logits(&self, embedding: &Embedding, mask: &Mask) -> Result<Arc<[f32]>> {
        if let Some(logits) = &mask.logits {
            return Ok(logits.clone());
        }
        let Source { prompt, token } = &mask.source;
        let batch = self.decode(embedding, std::slice::from_ref(prompt), None)?.next().await?;
        let logits = batch
            .as_ref()
            .and_then(|batch| batch.answers().next())
            .map(|answered| answered.logits(*token).logits.into());
        logits.ok_or_else(|| Error::Internal("a prompt was not answered".into()))
    }
}
