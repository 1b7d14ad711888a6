//! Encodes PNGs natively on the CPU, for a page that need not encode them again: `sam.restore`, as in `examples/gallery`.
//! Beside each embedding it writes the photo, and the list of all as `index.json`:
//!
//! ```sh
//! cargo run --release --example embed -- tinysam.pth examples/gallery/public photos/*.png
//! ```

mod photo;

use std::error::Error;
use std::fs;
use std::path::Path;

use futures_lite::future::block_on;
use tinysam::Device;
use tinysam::checkpoint::Checkpoint;
use tinysam::segment::{Sam, SavedPrecision};

/// The input side that TinySAM was trained at, in pixels. The page need not know it.
const SIDE: u32 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, out, photos @ ..] = arguments.as_slice() else {
        return Err("usage: embed CHECKPOINT FOLDER PHOTO.png…".into());
    };
    let sam = Sam::load(&Checkpoint::from_bytes(fs::read(checkpoint)?)?, &Device::flex())?;
    let out = Path::new(out);
    fs::create_dir_all(out)?;
    let mut names = Vec::new();
    for path in photos {
        let name = Path::new(path).file_name().and_then(|name| name.to_str()).ok_or("a photo has no name")?;
        let embedding = block_on(sam.embed(&photo::read_png(path)?, SIDE, async || Ok(())))?;
        fs::write(out.join(format!("{name}.tinysam")), block_on(embedding.to_bytes(SavedPrecision::F16))?)?;
        fs::copy(path, out.join(name))?;
        println!("{name}");
        names.push(name);
    }
    fs::write(out.join("index.json"), serde_json::to_vec(&names)?)?;
    Ok(())
}
