//! PNG files, written a band of rows at a time.
//!
//! `png` can stream, too, but brings the whole of flate2 with it, a tenth of what a page downloads. It writes the file's
//! frame here, and what compresses its own fast files, fdeflate, the pixels.

use std::io::{self, Write};
use std::ops::Range;

use ::png::{BitDepth, ColorType, Encoder, Writer, chunk::IDAT};
use fdeflate::Compressor;

use crate::{Error, Result};

/// Pixels of a band, about: enough that a band's own cost does not count.
const BAND: u32 = 1 << 18;
/// Bytes of a chunk of the file, about.
const CHUNK: usize = 1 << 16;
/// A row's filter: what it says are the differences from the row above, which is what fdeflate is made for.
const UP: u8 = 2;

/// What the bytes of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    /// One byte a pixel.
    Luma,
    /// Two bytes a pixel, the high one first.
    Luma16,
    /// Three bytes a pixel.
    Rgb,
    /// Four bytes a pixel, straight alpha.
    Rgba,
}

impl Channels {
    fn bytes(self) -> usize {
        match self {
            Channels::Luma => 1,
            Channels::Luma16 => 2,
            Channels::Rgb => 3,
            Channels::Rgba => 4,
        }
    }
}

/// A PNG file, compressed for speed; the same pixels give the same bytes.
///
/// `paint(pixels, bytes)` is called from the top to the bottom: it writes the bytes, zeros before, of the pixels with
/// these places along the rows.
///
/// # Errors
/// [`Error::Internal`] for a picture without pixels.
pub(super) fn encode(
    width: u32,
    height: u32,
    channels: Channels,
    paint: &mut dyn FnMut(Range<usize>, &mut [u8]),
) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    let (colour, depth) = match channels {
        Channels::Luma => (ColorType::Grayscale, BitDepth::Eight),
        Channels::Luma16 => (ColorType::Grayscale, BitDepth::Sixteen),
        Channels::Rgb => (ColorType::Rgb, BitDepth::Eight),
        Channels::Rgba => (ColorType::Rgba, BitDepth::Eight),
    };
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut compressor = Compressor::new(Chunks { writer: &mut writer, waiting: Vec::new() }).map_err(failed)?;
    let (width, height, row) = (width as usize, height as usize, width as usize * channels.bytes());
    let rows = (BAND as usize / width).max(1);
    let (mut bytes, mut above) = (Vec::new(), vec![0; row]);
    let mut filtered = vec![UP; 1 + row];
    for top in (0..height).step_by(rows) {
        let pixels = top * width..(top + rows).min(height) * width;
        bytes.clear();
        bytes.resize(pixels.len() * channels.bytes(), 0);
        paint(pixels, &mut bytes);
        for line in bytes.chunks_exact(row) {
            for ((to, this), above) in filtered[1..].iter_mut().zip(line).zip(&above) {
                *to = this.wrapping_sub(*above);
            }
            compressor.write_data(&filtered).map_err(failed)?;
            above.copy_from_slice(line);
        }
    }
    compressor.finish().and_then(|mut chunks| chunks.flush()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("writing a PNG: {error}"))
}

/// Compressed pixels on their way into a file's chunks.
struct Chunks<'a, 'b> {
    writer: &'a mut Writer<&'b mut Vec<u8>>,
    waiting: Vec<u8>,
}

impl Write for Chunks<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.write_chunk(IDAT, &self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Width, height, and the bytes of a file's pixels.
    pub(in super::super) fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn pictures_come_back_whatever_their_bands() {
        for (width, height) in [(84, 3), (1, 300_000), (300_000, 2), (700, 900), (1, 1)] {
            for channels in [Channels::Luma, Channels::Luma16, Channels::Rgb, Channels::Rgba] {
                let each = channels.bytes();
                let byte = |at: usize| (at % 251) as u8;
                let mut paint = |pixels: Range<usize>, bytes: &mut [u8]| {
                    assert!(bytes.iter().all(|byte| *byte == 0));
                    bytes.iter_mut().zip(pixels.start * each..).for_each(|(to, at)| *to = byte(at));
                };
                let file = encode(width, height, channels, &mut paint).unwrap();
                assert_eq!(file, encode(width, height, channels, &mut paint).unwrap());
                let expected: Vec<u8> = (0..width as usize * height as usize * each).map(byte).collect();
                assert!(decode(&file) == (width, height, expected), "{width}×{height} {channels:?}");
            }
        }
    }

    /// What a picture takes beside its file: a band of pixels, and compressed ones to the size of a chunk.
    #[test]
    fn bands_and_chunks_are_bounded() {
        for (width, height) in [(700u32, 1500u32), (300_000, 3), (1, 300_000)] {
            let mut bands = Vec::new();
            let noise = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
            let mut paint = |pixels: Range<usize>, bytes: &mut [u8]| {
                bytes.iter_mut().zip(3 * pixels.start..).for_each(|(to, at)| *to = noise(at));
                bands.push(pixels);
            };
            let file = encode(width, height, Channels::Rgb, &mut paint).unwrap();
            let rows = (BAND / width).max(1);
            assert_eq!(bands.len(), height.div_ceil(rows) as usize);
            assert!(bands.iter().all(|band| band.len() <= (rows * width) as usize));
            let mut chunks = Vec::new();
            let mut rest = &file[8..];
            while let [a, b, c, d, kind @ ..] = rest {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                if kind.starts_with(b"IDAT") {
                    chunks.push(length);
                }
                rest = &rest[12 + length..];
            }
            let (last, others) = chunks.split_last().unwrap();
            assert!(others.len() > 2 && others.iter().all(|chunk| (CHUNK..2 * CHUNK).contains(chunk)), "{chunks:?}");
            assert!(*last < 2 * CHUNK);
        }
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        assert_eq!(encode(0, 0, Channels::Luma, &mut |_, _| ()).unwrap_err().code(), "internal");
    }
}
