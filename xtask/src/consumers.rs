//! `cargo xtask consumers`: the package in everything that people build with, each as its users have it: installed from the
//! tarball, built, served, opened in Chromium. Not a part of the tests: it takes long.

use anyhow::Result;
use clap::Args;

use crate::inputs::Weights;
use crate::{chrome, npm, pack, shell};

#[derive(Args)]
pub struct Options {
    /// Names of folders in tests/consumers; all of them, if none is named
    names: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let tarball = pack::run()?;
    npm::install("tests/browser")?;
    npm::install("tests/consumers/node")?;
    let mut consumers = npm::bin("tests/browser", "playwright");
    consumers.current_dir(shell::root().join("tests/browser")).args(["test", "--config", "consumers.config.ts"]);
    if !options.names.is_empty() {
        // Of a test Playwright compares project, file and title, with spaces between them.
        consumers.args(["--grep", &format!(" ({})$", options.names.join("|"))]);
    }
    consumers.env("CHROME", chrome::browser()?).env("TINYSAM_FORMULA", Weights::Formula(0).file()?);
    shell::run(consumers.env("TINYSAM_TARBALL", tarball).env("TINYSAM_CONSUMERS", shell::cache("consumers")?))
}
