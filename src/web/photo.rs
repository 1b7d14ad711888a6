//! A photo outside WebAssembly's memory, which never shrinks: 36 MB of it, for one of 12 megapixels, would be taken for as
//! long as the engine runs.

use std::borrow::Cow;
use std::ops::Range;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use super::js::{pixels, property};
use crate::Result;
use crate::image::{Photo, check_size};

/// A photo in an array of JavaScript's, which is given back when this is dropped.
pub struct JsPhoto {
    width: u32,
    height: u32,
    /// `[height, width, 3]`
    rgb: Uint8Array,
}

impl JsPhoto {
    /// A black one.
    ///
    /// # Errors
    /// As [`check_size`]; [`Error::OutOfMemory`].
    pub fn new(width: u32, height: u32) -> Result<Self> {
        check_size(width, height)?;
        Ok(Self { width, height, rgb: pixels("Uint8Array", (width, height), 3)? })
    }

    /// Replaces the pixels from this place along the rows on, which are within the photo.
    pub fn write(&mut self, first: usize, rgb: &[u8]) {
        self.bytes(first..first + rgb.len() / 3).copy_from(rgb);
    }

    fn bytes(&self, pixels: Range<usize>) -> Uint8Array {
        self.rgb.subarray(3 * pixels.start as u32, 3 * pixels.end as u32)
    }
}

impl Photo for JsPhoto {
    fn width(&self) -> u32 {
        self.width
    }

    fn height(&self) -> u32 {
        self.height
    }

    fn read(&self, pixels: Range<usize>) -> Cow<'_, [u8]> {
        Cow::Owned(self.bytes(pixels).to_vec())
    }
}

impl Drop for JsPhoto {
    /// At once, where the browser can: it may be long until garbage is collected.
    fn drop(&mut self) {
        let buffer = self.rgb.buffer();
        if let Ok(transfer) = property(&buffer, "transfer").dyn_into::<Function>() {
            // An empty buffer takes its place.
            let _ = transfer.call1(&buffer, &0.into());
        }
    }
}
