//! A mask as it comes back: its measures and its pixels, and how to have its logits.

use std::sync::{Arc, OnceLock, Weak};

use super::decode::read;
use super::{Embedding, Prompt, Sam};
use crate::Result;
use crate::image::Frame;
use crate::mask::{Bitmap, Cutoffs, LowRes, Runs, fill_small_holes, remove_small_islands, survey};
use crate::model::{Attended, MASKS};

/// One mask, of some kilobytes; refined from another, also of that one's low-res logits (256 KiB at 1024), with which it would
/// be decoded again. Clones share them.
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
    /// Low-res logits, once they were asked for, of a prompt that was asked alone: it may be refined again and again.
    logits: Arc<OnceLock<Arc<[f32]>>>,
    /// Whether small regions were removed: the pixels are no longer those of the logits.
    pub(super) edited: bool,
}

/// What a mask was decoded from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub prompt: Arc<Prompt>,
    /// Which of the decoder's four masks it is.
    pub token: usize,
    /// The prompt after the transformer, while no other was asked alone.
    pub attended: Weak<Attended>,
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
            logits: Arc::default(),
            edited: false,
        };
        (mask, found.confident)
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
    /// Low-res logits of a mask of this embedding, `[S/4, S/4]`: a prompt for a refinement.
    ///
    /// They are made when they are asked for: mostly they never are, and what is shown of a mask needs no padding. For the
    /// last prompt that was asked alone that is an upscaling, and its mask keeps them; any other goes through the decoder
    /// again, and of many masks they would be a gigabyte.
    ///
    /// # Errors
    /// As the device has them.
    pub async fn logits(&self, embedding: &Embedding, mask: &Mask) -> Result<Arc<[f32]>> {
        if let Some(logits) = mask.logits.get() {
            return Ok(logits.clone());
        }
        let Source { prompt, token, attended } = &mask.source;
        let last = attended.upgrade();
        let attended = match &last {
            Some(attended) => attended,
            None => {
                let input = prompt.resolve(&embedding.frame)?;
                &Arc::new(self.attend(embedding, &[input], std::slice::from_ref(prompt)))
            }
        };
        let masks = read(self.model.mask_decoder.masks(attended, embedding.frame.cells())).await?;
        let one = masks.len() / MASKS;
        let logits: Arc<[f32]> = masks[token * one..][..one].into();
        Ok(if last.is_some() { mask.logits.get_or_init(|| logits).clone() } else { logits })
    }
}
