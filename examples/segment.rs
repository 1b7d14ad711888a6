//! Segments what lies at a point of a PNG, natively on the CPU, and writes the overlay:
//!
//! ```sh
//! cargo run --example segment -- tinysam.pth photo.png 300 200 out.png
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;

use futures_lite::future::block_on;
use tinysam::Device;
use tinysam::checkpoint::Checkpoint;
use tinysam::export::overlay_png;
use tinysam::image::Image;
use tinysam::segment::{Choice, Prompt, Sam};

/// The input side that TinySAM was trained at, in pixels.
const SIDE: u32 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, photo, x, y, out] = arguments.as_slice() else {
        return Err("usage: segment CHECKPOINT PHOTO.png X Y OUT.png (X and Y in pixels of the photo)".into());
    };
    let sam = Sam::load(&Checkpoint::from_bytes(fs::read(checkpoint)?)?, &Device::flex())?;
    let image = read_png(photo)?;
    // One embedding serves any number of prompts.
    let embedding = block_on(sam.embed(&image, SIDE, async || Ok(())))?;
    let prompt = Prompt::point(x.parse()?, y.parse()?);
    let answers = block_on(sam.segment(&embedding, &[prompt], Choice::BEST, async |_| Ok(())))?;
    let mask = answers[0].best();
    println!("score {:.3}, {} pixels, box [x, y, width, height] {:?}", mask.score, mask.area, mask.bbox);
    fs::write(out, overlay_png(&image, &[&mask.runs])?)?;
    Ok(())
}

fn read_png(path: &str) -> Result<Image, Box<dyn Error>> {
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
