//! A PNG as the engine takes it, for the examples beside this.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tinysam::image::Image;

/// Reads a PNG of any kind.
pub fn read_png(path: impl AsRef<Path>) -> Result<Image, Box<dyn Error>> {
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path)?));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("the picture is too large")?];
    let info = reader.next_frame(&mut pixels)?;
    pixels.truncate(info.buffer_size());
    if info.color_type == png::ColorType::GrayscaleAlpha {
        pixels = pixels.as_chunks::<2>().0.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect();
    }
    Ok(Image::from_rgba(info.width, info.height, &pixels)?)
}
