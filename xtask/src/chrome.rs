//! The browser of the tests.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::tools;

/// Chromium or Chrome: `CHROME`, the PATH, where macOS keeps it, or apt.
pub fn browser() -> Result<PathBuf> {
    let mac = Path::new("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    if std::env::var_os("CHROME").is_none() && mac.is_file() {
        return Ok(mac.to_owned());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    tools::program("CHROME", &names, "chromium")
}

/// Its WebDriver, for wasm-bindgen's test runner: `CHROMEDRIVER`, the PATH, or apt.
pub fn driver() -> Result<PathBuf> {
    tools::program("CHROMEDRIVER", &["chromedriver"], "chromium-driver")
}
