//! `cargo xtask convert`: a checkpoint without what inference does not use, in half precision if wanted.

use std::path::PathBuf;

use anyhow::Result;

use crate::native;

#[derive(clap::Args)]
pub struct Options {
    /// A .pth or .safetensors checkpoint
    pub input: PathBuf,
    /// The .safetensors file to write
    pub output: PathBuf,
    /// Half precision: half the size, masks that overlap the full ones by 0.997
    #[arg(long)]
    pub f16: bool,
}

pub fn run(options: &Options) -> Result<()> {
    native::convert(options)
}
