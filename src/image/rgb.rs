//! A photo in memory: RGB, eight bits a channel.

use crate::{Error, Result};

/// The longest side of a photo, in pixels: what browsers' canvases hold.
pub const MAX_SIDE: u32 = 16_384;
/// The most pixels of a photo.
pub const MAX_PIXELS: u64 = 100_000_000;

/// A photo as `[height, width, 3]` bytes, RGB, row-major, upright (EXIF orientation already applied).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Image {
    /// Takes `width * height * 3` bytes.
    ///
    /// # Errors
    /// [`Error::ImageInvalid`] for an empty side or another number of bytes, [`Error::ImageTooLarge`] beyond
    /// [`MAX_SIDE`] or [`MAX_PIXELS`].
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        check_length(width, height, 3, rgb.len())?;
        Ok(Self { width, height, rgb })
    }

    /// Takes `width * height * 4` bytes with straight (not premultiplied) alpha, and lays them over white.
    ///
    /// # Errors
    /// As [`Image::from_rgb`].
    pub fn from_rgba(width: u32, height: u32, rgba: &[u8]) -> Result<Self> {
        check_length(width, height, 4, rgba.len())?;
        let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
        for &[r, g, b, alpha] in rgba.as_chunks::<4>().0 {
            rgb.extend(match alpha {
                255 => [r, g, b],
                _ => [r, g, b].map(|channel| over_white(channel, alpha)),
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// Columns, in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, `[height, width, 3]`.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// `channel·α + 255·(1 − α)`, rounded to nearest (255 is odd: there are no ties).
fn over_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// The limits of every picture, checked before anything is allocated for it.
pub(crate) fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::ImageInvalid(format!("it is {width}×{height}; both sides must be at least one pixel")));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::ImageTooLarge { width, height });
    }
    Ok(())
}

fn check_length(width: u32, height: u32, channels: usize, length: usize) -> Result<()> {
    check_size(width, height)?;
    let expected = width as usize * height as usize * channels;
    if length != expected {
        return Err(Error::ImageInvalid(format!(
            "{width}×{height} pixels of {channels} channels take {expected} bytes, there are {length}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_over_white() {
        let rgba = [10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128];
        let image = Image::from_rgba(3, 1, &rgba).unwrap();
        // 0·128 + 255·127 = 32385 = 127·255; 100·128 + 32385 = 45185 = 177.2·255.
        assert_eq!(image.rgb(), [10, 20, 30, 255, 255, 255, 127, 177, 255]);
    }

    #[test]
    fn every_blend_is_rounded_to_nearest() {
        for channel in 0..=255u8 {
            for alpha in 0..=255u8 {
                let a = f64::from(alpha) / 255.0;
                let exact = f64::from(channel) * a + 255.0 * (1.0 - a);
                assert!((f64::from(over_white(channel, alpha)) - exact).abs() <= 0.5 + 1e-9);
            }
        }
    }

    #[test]
    fn limits_are_checked() {
        let code = |w, h, n| Image::from_rgb(w, h, vec![0; n]).unwrap_err().code();
        assert_eq!(code(0, 5, 0), "image_invalid");
        assert_eq!(code(2, 2, 11), "image_invalid");
        assert_eq!(code(MAX_SIDE + 1, 1, 0), "image_too_large");
        assert_eq!(code(10_001, 10_000, 0), "image_too_large");
        assert_eq!(code(u32::MAX, u32::MAX, 0), "image_too_large");
        assert_eq!(Image::from_rgba(1, 1, &[0; 3]).unwrap_err().code(), "image_invalid");
        assert_eq!(Image::from_rgb(MAX_SIDE, 1, vec![7; 3 * MAX_SIDE as usize]).unwrap().width(), MAX_SIDE);
    }
}
