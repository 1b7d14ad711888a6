//! The checkpoint and the picture of a run: a file, or made by formula.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use tinysam_golden::{formula, synth};

use crate::shell;

/// `FILE` or `formula:SEED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// A `.pth` or `.safetensors` file.
    File(PathBuf),
    /// The formula checkpoint of that seed.
    Formula(u64),
}

impl FromStr for Weights {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix("formula:") {
            Some(seed) => Ok(Self::Formula(seed.parse().with_context(|| format!("seed `{seed}`"))?)),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl Weights {
    /// The project's own checkpoint, with which a first visit to the page begins.
    pub fn of_the_page() -> Self {
        Self::File(shell::root().join("www/public/models/tinysam-photos.safetensors"))
    }

    /// A file that holds it, absolute.
    pub fn file(&self) -> Result<PathBuf> {
        match self {
            Self::File(path) => path.canonicalize().with_context(|| format!("no checkpoint at {}", path.display())),
            Self::Formula(seed) => {
                let path = shell::cache("inputs")?.join(format!("formula-{seed}.safetensors"));
                if !path.is_file() {
                    shell::say(&format!("writing the formula checkpoint of seed {seed}"));
                    write(&path, &formula::formula_safetensors(*seed))?;
                }
                Ok(path)
            }
        }
    }
}

/// `FILE` or `synth:WxH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// A PNG or JPEG file.
    File(PathBuf),
    /// The synthetic picture of that width and height.
    Synth(u32, u32),
}

impl FromStr for Picture {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some(sides) = text.strip_prefix("synth:") else {
            return Ok(Self::File(text.into()));
        };
        let sides = sides.split_once('x').map(|(width, height)| (width.parse(), height.parse()));
        match sides {
            Some((Ok(width), Ok(height))) if width > 0 && height > 0 => Ok(Self::Synth(width, height)),
            _ => bail!("`{text}`: a synthetic picture is written synth:640x480"),
        }
    }
}

/// A decoded picture.
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

impl Pixels {
    /// `[height, width, 4]`, opaque.
    pub fn rgba(&self) -> Vec<u8> {
        self.rgb.as_chunks().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect()
    }
}

impl Picture {
    /// Its pixels, turned as its EXIF data says.
    pub fn pixels(&self) -> Result<Pixels> {
        match self {
            Self::Synth(width, height) => {
                Ok(Pixels { width: *width, height: *height, rgb: synth::synth(*width, *height) })
            }
            Self::File(path) => decode(path).with_context(|| format!("no picture at {}", path.display())),
        }
    }
}

fn decode(path: &Path) -> Result<Pixels> {
    use image::{DynamicImage, ImageDecoder, ImageReader};
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let rgb = match image.color().has_alpha() {
        false => image.to_rgb8().into_raw(),
        true => image.to_rgba8().as_chunks().0.iter().flat_map(over_white).collect(),
    };
    Ok(Pixels { width: image.width(), height: image.height(), rgb })
}

fn over_white(&[red, green, blue, alpha]: &[u8; 4]) -> [u8; 3] {
    let alpha = u16::from(alpha);
    [red, green, blue].map(|value| ((u16::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// Writes a file that is there whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_for() {
        assert_eq!("formula:7".parse::<Weights>().unwrap(), Weights::Formula(7));
        assert_eq!("a.pth".parse::<Weights>().unwrap(), Weights::File("a.pth".into()));
        assert!("formula:x".parse::<Weights>().is_err());
        assert_eq!("synth:64x48".parse::<Picture>().unwrap(), Picture::Synth(64, 48));
        assert_eq!("a.png".parse::<Picture>().unwrap(), Picture::File("a.png".into()));
        for wrong in ["synth:64", "synth:0x4", "synth:4x", "synth:ax4"] {
            assert!(wrong.parse::<Picture>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_photo_is_the_goldens() {
        let photo = Picture::File(tinysam_golden::fixture("photos/coffee.png"));
        let pixels = photo.pixels().unwrap();
        assert_eq!((pixels.width, pixels.height), (600, 400));
        assert_eq!(
            synth::image_sha256(&pixels.rgb),
            "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f"
        );
    }
}
