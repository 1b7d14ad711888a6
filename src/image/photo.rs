//! A photo as what becomes of it is made: a band of rows at a time, wherever its pixels lie.

use std::borrow::Cow;
use std::ops::Range;

use super::Image;

/// A photo that can be read, as often as somebody asks: [`Image`] in memory, or one that lies elsewhere. RGB, eight bits a
/// channel, upright (EXIF orientation already applied).
pub trait Photo {
    /// Columns, in pixels.
    fn width(&self) -> u32;

    /// Rows, in pixels.
    fn height(&self) -> u32;

    /// The bytes of these pixels, counted along the rows from the top left one: `[pixels, 3]`. They are within the photo.
    fn read(&self, pixels: Range<usize>) -> Cow<'_, [u8]>;
}

impl Photo for Image {
    fn width(&self) -> u32 {
        self.width()
    }

    fn height(&self) -> u32 {
        self.height()
    }

    fn read(&self, pixels: Range<usize>) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.rgb()[3 * pixels.start..3 * pixels.end])
    }
}
