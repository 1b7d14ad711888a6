//! A picture in the making.

use super::photo::JsPhoto;
use crate::Result;
use crate::image::{Image, Photo};

/// Pixels that pass from the browser through wasm at a time: a picture of 100 megapixels never has a whole canvas
/// (some browsers refuse such), nor a whole RGBA copy, beside it.
const BAND: u32 = 2_000_000;

/// A picture growing from top to bottom.
pub struct Rows {
    photo: JsPhoto,
    /// Rows that are there.
    done: u32,
    /// Whether any pixel so far is other than wholly transparent.
    is_seen: bool,
}

impl Rows {
    pub fn new(width: u32, height: u32) -> Result<Self> {
        Ok(Self { photo: JsPhoto::new(width, height)?, done: 0, is_seen: false })
    }

    /// How many rows the band at `top` has.
    pub fn in_band(&self, top: u32) -> u32 {
        (BAND / self.photo.width()).clamp(1, self.photo.height() - top)
    }

    /// The first row that is missing, and how many are wanted next.
    pub fn next_band(&self) -> Option<(u32, u32)> {
        (self.done < self.photo.height()).then(|| (self.done, self.in_band(self.done)))
    }

    /// Takes the next rows as RGBA with straight alpha. (A canvas holds premultiplied colours, and rounds
    /// when it divides the alpha out again; laid over white, that rounding cancels.)
    pub fn push(&mut self, rgba: &[u8]) -> Result<()> {
        let width = self.photo.width();
        let count = (rgba.len() / (width as usize * 4)) as u32;
        let band = Image::from_rgba(width, count, rgba)?;
        self.photo.write(self.done as usize * width as usize, band.rgb());
        self.done += count;
        self.is_seen = self.is_seen || rgba.iter().skip(3).step_by(4).any(|alpha| *alpha != 0);
        Ok(())
    }

    /// Whether there is anything to be seen in it.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// The picture, when all rows are there.
    pub fn finish(self) -> JsPhoto {
        self.photo
    }
}
