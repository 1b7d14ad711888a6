//! A picture in the making.

use crate::image::{Image, check_size};
use crate::{Error, Result};

/// Pixels that pass from the browser to wasm at a time: a picture of 100 megapixels never has a whole canvas
/// (some browsers refuse such), nor a whole RGBA copy, beside it.
const BAND: u32 = 2_000_000;

/// A picture growing from top to bottom.
pub struct Rows {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
    /// Whether any pixel so far is other than wholly transparent.
    is_seen: bool,
}

impl Rows {
    pub fn new(width: u32, height: u32) -> Result<Self> {
        check_size(width, height)?;
        let mut rgb = Vec::new();
        rgb.try_reserve_exact(width as usize * height as usize * 3)
            .map_err(|_| Error::OutOfMemory(format!("no room for a picture of {width}×{height}")))?;
        Ok(Self { width, height, rgb, is_seen: false })
    }

    /// How many rows the band at `top` has.
    pub fn in_band(&self, top: u32) -> u32 {
        (BAND / self.width).clamp(1, self.height - top)
    }

    /// The first row that is missing, and how many are wanted next.
    pub fn next_band(&self) -> Option<(u32, u32)> {
        let top = (self.rgb.len() / (self.width as usize * 3)) as u32;
        (top < self.height).then(|| (top, self.in_band(top)))
    }

    /// Takes the next rows as RGBA with straight alpha. (A canvas holds premultiplied colours, and rounds
    /// when it divides the alpha out again; laid over white, that rounding cancels.)
    pub fn push(&mut self, rgba: &[u8]) -> Result<()> {
        let count = (rgba.len() / (self.width as usize * 4)) as u32;
        let band = Image::from_rgba(self.width, count, rgba)?;
        self.rgb.extend_from_slice(band.rgb());
        self.is_seen = self.is_seen || rgba.iter().skip(3).step_by(4).any(|alpha| *alpha != 0);
        Ok(())
    }

    /// Whether there is anything to be seen in it.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }

    pub fn finish(self) -> Result<Image> {
        Image::from_rgb(self.width, self.height, self.rgb)
    }
}
