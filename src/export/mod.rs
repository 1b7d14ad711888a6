//! What people take away of masks: PNG files, COCO's run lengths, polygons, label maps. Pure: no device, no browser.
//!
//! Pictures are made a band of rows at a time, from the photo and the masks' runs: one of 100 megapixels takes the memory
//! of its file, and not of its pixels beside it.

mod picture;
mod png;
mod polygons;
mod rle;

pub use picture::{PALETTE, cutout_png, label_png, label_spans, mask_png, overlay_png};
pub use polygons::{Polygon, Ring, polygons};
pub use rle::Rle;
