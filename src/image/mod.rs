//! Pixels in: a photo becomes what the network sees. Pure: no device, no browser.
//!
//! Two frames are spoken of, here and everywhere: *original pixels* (the photo after its EXIF orientation,
//! origin top left) and *model pixels* (the photo resized so that its long side is `side`, in the top-left
//! corner of a `side`×`side` square).

mod frame;
mod normalise;
mod photo;
mod resize;
mod rgb;

pub use frame::{Frame, MAX_MODEL_SIDE, SIDE_STEP, touched};
pub use normalise::{MEAN, STD, normalise_and_pad};
pub use photo::Photo;
pub use resize::resize;
pub(crate) use rgb::check_size;
pub use rgb::{Image, MAX_PIXELS, MAX_SIDE};
