//! Pictures as PNG files.

use crate::{Error, Result};
use ::png::{BitDepth, ColorType, Compression, Encoder};

/// What the bytes of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One byte a pixel, as [`super::luma`] gives them.
    Luma,
    /// Three bytes a pixel, as [`super::overlay`].
    Rgb,
    /// Four bytes a pixel, as [`super::cutout`].
    Rgba,
}

/// A PNG file of a picture: eight bits a channel, compressed for speed; the same pixels give the same bytes.
///
/// # Errors
/// [`Error::Internal`] if the bytes are not those of such a picture.
pub fn encode_png(width: u32, height: u32, channels: Channels, pixels: &[u8]) -> Result<Vec<u8>> {
    let colour = match channels {
        Channels::Luma => ColorType::Grayscale,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
    };
    write(width, height, (colour, BitDepth::Eight), pixels)
}

/// A PNG file of a label map ([`super::label_map`]): grey, sixteen bits a pixel.
///
/// # Errors
/// As [`encode_png`].
pub fn encode_label_png(width: u32, height: u32, labels: &[u16]) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_be_bytes()).collect();
    write(width, height, (ColorType::Grayscale, BitDepth::Sixteen), &bytes)
}

fn write(width: u32, height: u32, (colour, depth): (ColorType, BitDepth), pixels: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: ::png::EncodingError| Error::Internal(format!("writing a PNG: {error}"));
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(file: &[u8]) -> (::png::OutputInfo, Vec<u8>) {
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info, pixels)
    }

    #[test]
    fn pictures_come_back() {
        let pixels: Vec<u8> = (0..=251).collect();
        for (channels, count) in [(Channels::Luma, 1), (Channels::Rgb, 3), (Channels::Rgba, 4)] {
            let width = 84 / count;
            let file = encode_png(width, 3, channels, &pixels).unwrap();
            assert_eq!(file, encode_png(width, 3, channels, &pixels).unwrap());
            let (info, back) = decode(&file);
            assert_eq!((info.width, info.height), (width, 3));
            assert_eq!(back, pixels);
        }
        let (info, back) = decode(&encode_label_png(2, 1, &[1, 0x203]).unwrap());
        assert_eq!((info.bit_depth, back), (BitDepth::Sixteen, vec![0, 1, 2, 3]));
    }

    #[test]
    fn other_lengths_are_refused() {
        for (width, height, pixels) in [(2, 2, 3), (2, 2, 5), (0, 0, 0)] {
            let error = encode_png(width, height, Channels::Luma, &vec![0; pixels]).unwrap_err();
            assert_eq!(error.code(), "internal");
        }
    }
}
