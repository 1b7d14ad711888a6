//! Masks out: low-res logits become what people use. Pure: no device, no browser.
//!
//! *Low-res logits* are one mask as the decoder gives it: row-major `[side/4, side/4]`, the photo in its
//! top-left corner. Everything else here is in original pixels.

mod bitmap;
mod survey;
mod upscale;

pub use bitmap::Bitmap;
pub use survey::{Cutoffs, Survey, bitmap, low_res_stability, survey};
pub use upscale::visit_rows;
