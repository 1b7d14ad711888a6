//! `cargo xtask demo`: the page, built for release and served.

use std::fs;

use anyhow::{Context, Result};

use crate::inputs::Weights;
use crate::{modules, npm, shell};

#[derive(clap::Args)]
pub struct Options {
    /// Where the page is served
    #[arg(long, default_value_t = 4173)]
    port: u16,
    /// A checkpoint to offer beside the official one: a file, or formula:SEED
    #[arg(long)]
    checkpoint: Option<Weights>,
}

pub fn run(options: &Options) -> Result<()> {
    if let Some(weights) = &options.checkpoint {
        offer(weights)?;
    }
    build()?;
    let port = options.port.to_string();
    shell::say(&format!("\nThe page is at http://localhost:{port}/ — Ctrl-C ends it.\n"));
    shell::run(npm::npm("www").args(["run", "preview", "--", "--strictPort", "--port", &port]))
}

/// Builds the package and the page of it, into www/dist.
pub fn build() -> Result<()> {
    modules::package()?;
    npm::install("www")?;
    shell::run(npm::npm("www").args(["run", "build"]))
}

/// Puts a checkpoint where the page lists what it can load.
fn offer(weights: &Weights) -> Result<()> {
    let file = weights.file()?;
    let models = shell::root().join("www/public/models");
    fs::create_dir_all(&models)?;
    let name = file.file_name().context("a checkpoint without a name")?;
    fs::copy(&file, models.join(name)).context("cannot copy the checkpoint to the page")?;
    shell::say(&format!("the page offers {}", file.display()));
    Ok(())
}
