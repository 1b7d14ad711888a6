//! The browsers of the tests: Chromium for all of them, and two others that are held to it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{inputs, shell, tools};

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

/// What the tests of the other browsers start: each program by its environment variable, the PATH, or apt.
pub fn others() -> Result<Vec<(&'static str, PathBuf)>> {
    let programs: [(&str, &[&str], &str); 3] = [
        ("FIREFOX", &["firefox-esr", "firefox"], "firefox-esr"),
        // Brings WebKitGTK and its MiniBrowser.
        ("WEBKIT_DRIVER", &["WebKitWebDriver"], "webkit2gtk-driver"),
        // MiniBrowser wants a display.
        ("XVFB", &["Xvfb"], "xvfb"),
    ];
    programs.into_iter().map(|(variable, names, apt)| Ok((variable, tools::program(variable, names, apt)?))).collect()
}

/// The flags that every run of the browser gets: WebGPU on the software adapter, which every machine has, and what a
/// container needs. They are kept in webdriver.json, where wasm-bindgen's test runner finds them, too.
pub fn flags() -> Result<Value> {
    Ok(capabilities()?["goog:chromeOptions"]["args"].take())
}

/// webdriver.json for the browser of this machine.
pub fn webdriver() -> Result<PathBuf> {
    let mut capabilities = capabilities()?;
    capabilities["goog:chromeOptions"]["binary"] = json!(browser()?);
    let path = shell::cache("inputs")?.join("webdriver.json");
    inputs::write(&path, &serde_json::to_vec(&capabilities)?)?;
    Ok(path)
}

fn capabilities() -> Result<Value> {
    let path = shell::root().join("webdriver.json");
    let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&json).context("webdriver.json is no JSON")
}

/// The Vulkan driver that Chromium brings along, a program on the CPU, where Debian puts it; on other machines the GPU that
/// they have has to do.
pub fn software_gpu() -> Result<Option<PathBuf>> {
    browser()?;
    let driver = Path::new("/usr/lib/chromium/vk_swiftshader_icd.json");
    Ok(driver.is_file().then(|| driver.to_owned()))
}
