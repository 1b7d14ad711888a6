//! How original pixels and model pixels correspond.
//!
//! Mirrors `ResizeLongestSide` of the reference (tinysam/utils/transforms.py), and can do so for a part of a photo: the
//! network then sees that part alone, while every coordinate stays the photo's.

use super::rgb::check_size;
use crate::{Error, Result};

/// The step of the sides at which the network can see a photo, and the smallest of them.
pub const SIDE_STEP: u32 = 64;
/// The largest side at which the network can see a photo: it was trained at it.
pub const MAX_MODEL_SIDE: u32 = 1024;

/// Model pixels to a side of a cell of the embedding.
const CELL: u32 = 16;

/// The places of one photo: its original size, the part of it that the network sees, the size of that in the model's
/// square, and the square's side. All pairs are (width, height).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The photo, in original pixels.
    pub original: (u32, u32),
    /// What the network sees of it, `[x, y, width, height]` in original pixels: mostly the whole.
    pub crop: [u32; 4],
    /// What it sees, resized, in model pixels: the long side is `side`.
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
        Self::of_crop(width, height, [0, 0, width, height], side)
    }

    /// The frame of a part `[x, y, width, height]` of such a photo.
    ///
    /// # Errors
    /// As [`Frame::new`]; [`Error::OptionInvalid`] if the part is empty or not within the photo.
    pub fn of_crop(width: u32, height: u32, crop: [u32; 4], side: u32) -> Result<Self> {
        if !(SIDE_STEP..=MAX_MODEL_SIDE).contains(&side) || !side.is_multiple_of(SIDE_STEP) {
            return Err(Error::OptionInvalid(format!(
                "size {side}; it must be a multiple of {SIDE_STEP} from {SIDE_STEP} to {MAX_MODEL_SIDE}"
            )));
        }
        check_size(width, height)?;
        let [x, y, across, down] = crop;
        let within =
            |at: u32, length: u32, all: u32| length > 0 && at.checked_add(length).is_some_and(|end| end <= all);
        if !within(x, across, width) || !within(y, down, height) {
            return Err(Error::OptionInvalid(format!("crop {crop:?} is no part of the photo of {width}×{height}")));
        }
        let scale = f64::from(side) / f64::from(across.max(down));
        let scaled = |length: u32| ((f64::from(length) * scale + 0.5) as u32).clamp(1, side);
        Ok(Self { original: (width, height), crop, resized: (scaled(across), scaled(down)), side })
    }

    /// A place in original pixels, in model pixels. The factor of each axis is that of the *rounded* sizes,
    /// in f64, as in the reference's `apply_coords`.
    pub fn to_model(&self, x: f32, y: f32) -> (f32, f32) {
        let ([left, top, width, height], (new_width, new_height)) = (self.crop, self.resized);
        (scale(x - left as f32, new_width, width), scale(y - top as f32, new_height, height))
    }

    /// The inverse of [`Frame::to_model`].
    pub fn to_original(&self, x: f32, y: f32) -> (f32, f32) {
        let ([left, top, width, height], (new_width, new_height)) = (self.crop, self.resized);
        (scale(x, width, new_width) + left as f32, scale(y, height, new_height) + top as f32)
    }

    /// The side of the decoder's square of low-res logits: a quarter of `side`.
    pub fn low_res_side(&self) -> u32 {
        self.side / 4
    }

    /// `[rows, columns]` of the decoder's cells, sixteen model pixels or four low-res logits to a side.
    pub fn cells(&self) -> [usize; 2] {
        [(self.side / CELL) as usize; 2]
    }

    /// How many `[rows, columns]` of those the photo's logits are blends of. Beyond them is padding, which no mask shows.
    pub fn seen(&self) -> [usize; 2] {
        // The last row's logit reaches half a low-res one, two model pixels, beyond its middle.
        let cells = |length: u32| ((length + 1) / CELL + 1).min(self.side / CELL) as usize;
        [cells(self.resized.1), cells(self.resized.0)]
    }
}

/// The whole pixels of a `width`×`height` photo that a box `[x, y, width, height]` touches.
///
/// # Errors
/// [`Error::OptionInvalid`] if it touches none, or is no box.
pub fn touched(bbox: &[f64], width: u32, height: u32) -> Result<[u32; 4]> {
    let Some(&[x, y, across, down]) = bbox.first_chunk().filter(|_| bbox.len() == 4) else {
        return Err(Error::OptionInvalid(format!("crop {bbox:?}; it must be [x, y, width, height]")));
    };
    let within = |at: f64, length: f64, all: u32| {
        let (first, end) = (at.max(0.0).floor(), (at + length).min(f64::from(all)).ceil());
        // Written so that a NaN touches nothing.
        (length > 0.0 && at.is_finite() && end > first).then_some((first as u32, (end - first) as u32))
    };
    match (within(x, across, width), within(y, down, height)) {
        (Some((x, across)), Some((y, down))) => Ok([x, y, across, down]),
        _ => Err(Error::OptionInvalid(format!("crop {bbox:?} covers nothing of the photo of {width}×{height}"))),
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

    #[test]
    fn a_part_is_framed_as_a_photo_of_its_own() {
        let (part, whole) =
            (Frame::of_crop(640, 480, [100, 50, 300, 200], 256).unwrap(), Frame::new(300, 200, 256).unwrap());
        assert_eq!((part.original, part.resized, part.side), ((640, 480), whole.resized, 256));
        assert_eq!(part.to_model(250.0, 150.0), whole.to_model(150.0, 100.0));
        assert_eq!(part.to_original(128.0, 85.5), (250.0, 150.0));
        for crop in [[0, 0, 0, 1], [640, 0, 1, 1], [600, 0, 41, 10], [u32::MAX, 0, 2, 2]] {
            assert_eq!(Frame::of_crop(640, 480, crop, 256).unwrap_err().code(), "option_invalid", "{crop:?}");
        }
    }

    #[test]
    fn boxes_touch_whole_pixels_of_the_photo() {
        assert_eq!(touched(&[10.2, 5.0, 3.0, 2.5], 100, 50).unwrap(), [10, 5, 4, 3]);
        assert_eq!(touched(&[-10.0, -10.0, 1000.0, f64::INFINITY], 100, 50).unwrap(), [0, 0, 100, 50]);
        for bbox in [
            [100.0, 0.0, 5.0, 5.0],
            [-5.0, 0.0, 5.0, 5.0],
            [0.0, 0.0, 0.0, 5.0],
            [0.0, 0.0, -5.0, 5.0],
            [f64::NAN, 0.0, 5.0, 5.0],
            [0.0, 0.0, f64::NAN, 5.0],
            [f64::NEG_INFINITY, 0.0, f64::INFINITY, 5.0],
        ] {
            assert_eq!(touched(&bbox, 100, 50).unwrap_err().code(), "option_invalid", "{bbox:?}");
        }
        assert_eq!(touched(&[0.0, 0.0, 5.0], 100, 50).unwrap_err().code(), "option_invalid");
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
