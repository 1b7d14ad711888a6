//! `cargo xtask demo`: the page, built for release and served.

use std::fs;
use std::process::Child;

use anyhow::{Context, Result, ensure};

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
    let first = !modules::built_before();
    if first {
        shell::say(
            "Nothing is built yet. A page that computes on the CPU comes first, in about 6 minutes on two cores; what is \
             shipped, the module for WebGPU in it, is built while that page is served.",
        );
        modules::quick_package()?;
        page()?;
    } else {
        build()?;
    }
    let address = format!("http://localhost:{}/", options.port);
    let mut server = serve(options.port)?;
    shell::say(&format!("\nThe page is at {address} — Ctrl-C ends it.\n"));
    if first {
        if let Err(error) = build() {
            server.kill().context("cannot end the page's server")?;
            return Err(error);
        }
        shell::say(&format!("\nNow all is built as it is shipped: load {address} again. Ctrl-C ends it.\n"));
    }
    let status = server.wait()?;
    ensure!(status.success(), "the page's server ended with {status}");
    Ok(())
}

/// Builds the package and the page of it, into www/dist.
pub fn build() -> Result<()> {
    modules::package()?;
    page()
}

fn page() -> Result<()> {
    npm::install("www")?;
    shell::run(npm::npm("www").args(["run", "build"]))
}

fn serve(port: u16) -> Result<Child> {
    let mut preview = npm::npm("www");
    preview.args(["run", "preview", "--", "--strictPort", "--port", &port.to_string()]);
    preview.spawn().context("cannot start the page's server")
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
