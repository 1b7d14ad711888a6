//! Masks out: low-res logits become what people use. Pure: no device, no browser.
//!
//! *Low-res logits* are one mask as the decoder gives it: row-major `[side/4, side/4]`, the photo in its
//! top-left corner. Everything else here is in original pixels.

mod bitmap;
mod nms;
mod png;
mod polygons;
mod regions;
mod render;
mod rle;
mod survey;
mod upscale;

pub use bitmap::Bitmap;
pub use nms::nms;
pub use png::{Channels, encode_label_png, encode_png};
pub use polygons::{Polygon, Ring, polygons};
pub use regions::{fill_small_holes, remove_small_islands};
pub use render::{PALETTE, Pixels, cutout, label_map, luma, overlay, rgba};
pub use rle::Rle;
pub use survey::{Cutoffs, Survey, bitmap, survey};
pub use upscale::visit_rows;
