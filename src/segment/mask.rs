//! What comes back: masks, as low-res logits and their measures.

use std::borrow::Cow;
use std::sync::Arc;

use crate::image::Frame;
use crate::mask::{self, Bitmap, Cutoffs, Pixels, Survey, fill_small_holes, remove_small_islands, survey};
use crate::model::MASKS;

/// Where the decoder's masks of ambiguous prompts begin: TinySAM leaves the first out.
const FIRST: usize = 1;

/// One mask. Its pixels stay low-res logits until [`Mask::bitmap`] wants them.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Low-res logits, `[S/4, S/4]`: a prompt for a refinement. Clones share them.
    pub logits: Arc<[f32]>,
    /// The places of the picture.
    pub frame: Frame,
    /// Predicted IoU.
    pub score: f32,
    /// IoU of the mask with itself under a higher and a lower threshold, at original size.
    pub stability: f32,
    /// Pixels at original size.
    pub area: u32,
    /// `[x, y, width, height]`, original pixels; all zero where there is no pixel.
    pub bbox: [u32; 4],
    /// The point of the grid that found it, in everything mode.
    pub point: Option<[f64; 2]>,
    /// The pixels, where they are no longer those of the logits: small regions were removed.
    pub(super) edited: Option<Arc<Bitmap>>,
}

impl Mask {
    /// A mask from its logits, measured.
    fn new(frame: Frame, score: f32, logits: &[f32]) -> Self {
        let survey = survey(logits, &frame, &Cutoffs::default());
        Mask::surveyed(frame, score, logits, &survey)
    }

    /// A mask whose measures are known.
    pub(super) fn surveyed(frame: Frame, score: f32, logits: &[f32], survey: &Survey) -> Self {
        let Survey { area, bbox, stability, .. } = *survey;
        Mask { logits: logits.into(), frame, score, stability, area, bbox, point: None, edited: None }
    }

    /// The pixels, at original size.
    pub fn bitmap(&self) -> Cow<'_, Bitmap> {
        match &self.edited {
            Some(bitmap) => Cow::Borrowed(bitmap),
            None => Cow::Owned(mask::bitmap(&self.logits, &self.frame, Cutoffs::default().mask)),
        }
    }

    /// Without its holes and islands of fewer than `area` pixels.
    pub fn without_small_regions(mut self, area: u32) -> Self {
        let mut bitmap = self.bitmap().into_owned();
        let filled = fill_small_holes(&mut bitmap, area);
        if remove_small_islands(&mut bitmap, area) || filled {
            (self.area, self.bbox) = (bitmap.area(), bitmap.bbox());
            self.edited = Some(Arc::new(bitmap));
        }
        self
    }
}

impl Pixels for Mask {
    fn area(&self) -> u32 {
        self.area
    }
    fn bitmap(&self) -> Cow<'_, Bitmap> {
        Mask::bitmap(self)
    }
}

/// The three masks of one prompt: an ambiguous prompt means a part, an object or a group.
///
/// Masks are measured, and so upscaled, only when they are taken out.
#[derive(Clone, Debug)]
pub struct Answer {
    frame: Frame,
    scores: [f32; MASKS - FIRST],
    logits: Vec<f32>,
}

impl Answer {
    /// From the decoder's four scores and masks.
    pub(super) fn new(frame: Frame, scores: &[f32], masks: &[f32]) -> Self {
        let one = masks.len() / MASKS;
        Answer {
            frame,
            scores: std::array::from_fn(|i| scores.get(i + FIRST).copied().unwrap_or(0.0)),
            logits: masks[FIRST * one..].to_vec(),
        }
    }

    /// Predicted IoU of the three masks.
    pub fn scores(&self) -> [f32; MASKS - FIRST] {
        self.scores
    }

    /// Low-res logits of mask `index`, `[S/4, S/4]`.
    pub fn logits(&self, index: usize) -> &[f32] {
        let one = self.logits.len() / self.scores.len();
        &self.logits[index * one..][..one]
    }

    fn mask(&self, index: usize) -> Mask {
        Mask::new(self.frame, self.scores[index], self.logits(index))
    }

    /// The mask of the highest score; the first of equals.
    pub fn best(&self) -> Mask {
        let best = (0..self.scores.len()).rev().max_by(|a, b| self.scores[*a].total_cmp(&self.scores[*b]));
        self.mask(best.unwrap_or(0))
    }

    /// All three, in the decoder's order.
    pub fn all(&self) -> Vec<Mask> {
        (0..self.scores.len()).map(|i| self.mask(i)).collect()
    }
}
