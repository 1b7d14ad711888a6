//! How original pixels and model pixels correspond.
//!
//! Mirrors `ResizeLongestSide` of the reference (tinysam/utils/transforms.py).

use super::rgb::check_size;
use crate::{Error, Result};

/// The places of one photo: its original size, its size in the model's square, and the square's side.
/// All pairs are (width, height).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The photo, in original pixels.
    pub original: (u32, u32),
    /// The photo resized, in model pixels: the long side is `side`.
    pub resized: (u32, u32),
    /// The side of the model's square input, in model pixels.
    pub side: u32,
}

impl Frame {
    /// The frame of a `width`×`height` photo that the network sees at `side`: the long side becomes `side`,
    /// the other `⌊length · side/long + 0.5⌋`, but at least 1 (where the reference fails).
    ///
    /// # Errors
    /// [`Error::OptionInvalid`] unless `side` is a multiple of 64 in 64..=1024; [`Error::ImageInvalid`] and
    /// [`Error::ImageTooLarge`] as [`super::Image::from_rgb`].
    pub fn new(width: u32, height: u32, side: u32) -> Result<Self> {
        if !(64..=1024).contains(&side) || !side.is_multiple_of(64) {
            return Err(Error::OptionInvalid(format!("size {side}; it must be a multiple of 64 from 64 to 1024")));
        }
        check_size(width, height)?;
        let scale = f64::from(side) / f64::from(width.max(height));
        let scaled = |length: u32| ((f64::from(length) * scale + 0.5) as u32).clamp(1, side);
        Ok(Self { original: (width, height), resized: (scaled(width), scaled(height)), side })
    }

    /// A place in original pixels, in model pixels. The factor of each axis is that of the *rounded* sizes,
    /// in f64, as in the reference's `apply_coords`.
    pub fn to_model(&self, x: f32, y: f32) -> (f32, f32) {
        let ((width, height), (new_width, new_height)) = (self.original, self.resized);
        (scale(x, new_width, width), scale(y, new_height, height))
    }

    /// The inverse of [`Frame::to_model`].
    pub fn to_original(&self, x: f32, y: f32) -> (f32, f32) {
        let ((width, height), (new_width, new_height)) = (self.original, self.resized);
        (scale(x, width, new_width), scale(y, height, new_height))
    }

    /// The side of the decoder's square of low-res logits: a quarter of `side`.
    pub fn low_res_side(&self) -> u32 {
        self.side / 4
    }

    /// How many columns and rows of the low-res logits touch the photo; the others see padding alone.
    pub fn low_res_extent(&self) -> (u32, u32) {
        (self.resized.0.div_ceil(4), self.resized.1.div_ceil(4))
    }
}

fn scale(at: f32, to: u32, from: u32) -> f32 {
    (f64::from(at) * (f64::from(to) / f64::from(from))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_the_references() {
        let resized = |w, h, side| Frame::new(w, h, side).unwrap().resized;
        assert_eq!(resized(640, 480, 1024), (1024, 768));
        assert_eq!(resized(600, 400, 1024), (1024, 683)); // 682.67
        assert_eq!(resized(400, 600, 256), (171, 256)); // 170.67
        assert_eq!(resized(3, 2, 1024), (1024, 683));
        assert_eq!(resized(2048, 1, 1024), (1024, 1)); // 0.5 is rounded up
        assert_eq!(resized(1, 1, 64), (64, 64));
    }

    #[test]
    fn panoramas_keep_a_row() {
        assert_eq!(Frame::new(16_384, 164, 1024).unwrap().resized, (1024, 10));
        assert_eq!(Frame::new(16_384, 1, 1024).unwrap().resized, (1024, 1));
        assert_eq!(Frame::new(3, 16_384, 64).unwrap().resized, (1, 64));
    }

    #[test]
    fn other_sides_are_refused() {
        for side in [0, 1, 63, 65, 100, 1000, 1088, u32::MAX] {
            assert_eq!(Frame::new(10, 10, side).unwrap_err().code(), "option_invalid");
        }
        assert_eq!(Frame::new(0, 10, 64).unwrap_err().code(), "image_invalid");
        assert_eq!(Frame::new(16_385, 10, 64).unwrap_err().code(), "image_too_large");
    }

    #[test]
    fn coordinates_use_the_rounded_sizes() {
        let frame = Frame::new(600, 400, 1024).unwrap();
        assert_eq!(frame.to_model(300.0, 400.0), (512.0, 683.0));
        assert_eq!(Frame::new(640, 480, 256).unwrap().to_model(192.0, 192.0), (76.8, 76.8));
    }

    proptest! {
        #[test]
        fn coordinates_round_trip(
            width in 1u32..=16_384,
            height in 1u32..=6_000,
            side in (1u32..=16).prop_map(|n| n * 64),
            u in 0f32..1.0,
            v in 0f32..1.0,
        ) {
            let frame = Frame::new(width, height, side).unwrap();
            let (x, y) = (u * width as f32, v * height as f32);
            let (mx, my) = frame.to_model(x, y);
            prop_assert!(mx <= frame.resized.0 as f32 && my <= frame.resized.1 as f32);
            let (bx, by) = frame.to_original(mx, my);
            prop_assert!((bx - x).abs() <= 1e-6 * width as f32);
            prop_assert!((by - y).abs() <= 1e-6 * height as f32);
        }

        #[test]
        fn the_long_side_is_the_square_s(width in 1u32..=16_384, height in 1u32..=6_000, n in 1u32..=16) {
            let frame = Frame::new(width, height, 64 * n).unwrap();
            prop_assert_eq!(frame.resized.0.max(frame.resized.1), frame.side);
            prop_assert!(frame.resized.0.min(frame.resized.1) >= 1);
        }
    }
}
