//! Masks: low-res logits become pixels, which are measured, kept, compared and tidied. Pure: no device, no browser.
//!
//! *Low-res logits* are one mask as the decoder gives it: row-major `[side/4, side/4]` or the part of it that is needed, the
//! photo in its top-left corner. Everything else here is in original pixels.

mod bitmap;
mod nms;
mod regions;
mod runs;
mod survey;
mod upscale;

pub use bitmap::Bitmap;
#[cfg(test)]
pub(crate) use bitmap::tests::any_mask;
pub use nms::nms;
pub(crate) use regions::Regions;
pub use regions::{fill_small_holes, remove_small_islands};
pub use runs::{Runs, Spans};
pub use survey::{Cutoffs, Survey, survey};
pub use upscale::{LowRes, visit_rows};
