//! Segments what lies at a point of a PNG, natively on the CPU, and writes the overlay:
//!
//! ```sh
//! cargo run --example segment -- tinysam.pth photo.png 300 200 out.png
//! ```

mod photo;

use std::error::Error;
use std::fs;

use futures_lite::future::block_on;
use tinysam::Device;
use tinysam::checkpoint::Checkpoint;
use tinysam::export::overlay_png;
use tinysam::segment::{Choice, Prompt, Sam};

/// The input side that TinySAM was trained at, in pixels.
const SIDE: u32 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, path, x, y, out] = arguments.as_slice() else {
        return Err("usage: segment CHECKPOINT PHOTO.png X Y OUT.png (X and Y in pixels of the photo)".into());
    };
    let sam = Sam::load(&Checkpoint::from_bytes(fs::read(checkpoint)?)?, &Device::flex())?;
    let image = photo::read_png(path)?;
    // One embedding serves any number of prompts.
    let embedding = block_on(sam.embed(&image, SIDE, async || Ok(())))?;
    let prompt = Prompt::point(x.parse()?, y.parse()?);
    let answers = block_on(sam.segment(&embedding, &[prompt], Choice::BEST, async |_| Ok(())))?;
    let mask = answers[0].best();
    println!("score {:.3}, {} pixels, box [x, y, width, height] {:?}", mask.score, mask.area, mask.bbox);
    fs::write(out, overlay_png(&image, &[&mask.runs])?)?;
    Ok(())
}
