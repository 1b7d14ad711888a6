//! `cargo xtask soak`: an engine worked hard in Chromium, for what shows only after hundreds of calls. Not a part of the
//! tests: it takes long.

use anyhow::Result;

use crate::inputs::Weights;
use crate::{chrome, modules, npm, shell};

pub fn run() -> Result<()> {
    modules::package()?;
    npm::install("www")?;
    shell::run(npm::npm("www").args(["run", "build"]))?;
    npm::install("tests/browser")?;
    let mut soak = npm::bin("tests/browser", "playwright");
    soak.current_dir(shell::root().join("tests/browser")).args(["test", "--config", "soak.config.ts"]);
    shell::run(soak.env("CHROME", chrome::browser()?).env("TINYSAM_FORMULA", Weights::Formula(0).file()?))
}
