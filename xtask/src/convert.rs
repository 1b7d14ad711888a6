//! `cargo xtask convert`: a checkpoint without what inference does not use, smaller still if wanted.

use std::path::PathBuf;

use anyhow::Result;

use crate::native;

#[derive(clap::Args)]
pub struct Options {
    /// A .pth or .safetensors checkpoint
    pub input: PathBuf,
    /// The .safetensors file to write
    pub output: PathBuf,
    /// What the numbers are stored as
    #[arg(long, default_value = "f32")]
    pub precision: Precision,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Precision {
    /// As they are
    F32,
    /// Half the size: masks overlap the full ones by some 0.997
    F16,
    /// A quarter of the size: by 0.994 with the project's own weights
    Int8,
}

pub fn run(options: &Options) -> Result<()> {
    native::convert(options)
}
