//! What is needed beyond cargo, and how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Pinned to the `wasm-bindgen` crate of the root manifest: the two speak a private format.
const WASM_BINDGEN: &str = "0.2.130";
const WASM: &str = "wasm32-unknown-unknown";

/// The standard library for the browser.
pub fn wasm_target() -> Result<()> {
    let args = ["--print", "target-libdir", "--target", WASM];
    let library = shell::output(shell::command("rustc").args(args))?;
    if Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    shell::say("the WebAssembly target is missing");
    shell::run(shell::command("rustup").args(["target", "add", WASM]))
        .context("without rustup, install your distribution's Rust library for WebAssembly")
}

/// The folder that holds `wasm-bindgen` and `wasm-bindgen-test-runner` of the pinned version.
pub fn wasm_bindgen() -> Result<PathBuf> {
    let root = shell::cache("tools")?;
    let ours = root.join("bin");
    let on_path = shell::find("wasm-bindgen").and_then(|path| path.parent().map(Path::to_owned));
    for folder in [Some(ours.clone()), on_path].into_iter().flatten() {
        let both = ["wasm-bindgen", "wasm-bindgen-test-runner"];
        if both.iter().all(|name| is_version(&folder.join(name), WASM_BINDGEN)) {
            return Ok(folder);
        }
    }
    shell::say("wasm-bindgen is compiled once; that takes some minutes");
    // Without --locked: the lock file of that release asks for a newer compiler feature set than it needs.
    let version = format!("={WASM_BINDGEN}");
    let install = ["install", "wasm-bindgen-cli", "--version", &version, "--root"];
    let build = root.join("build");
    // It runs for seconds: optimised it would take longer to compile than it ever saves.
    let mut cargo = shell::cargo();
    cargo.args(install).arg(&root).arg("--target-dir").arg(&build).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    shell::run(&mut cargo)?;
    std::fs::remove_dir_all(&build).ok();
    Ok(ours)
}

fn is_version(program: &Path, version: &str) -> bool {
    let output = shell::output(Command::new(program).arg("--version"));
    output.is_ok_and(|text| text.split_whitespace().any(|word| word == version))
}

/// Node of a version that runs what is here.
pub fn node() -> Result<()> {
    let help = "install Node 20.19, or 22.12 and newer (https://nodejs.org)";
    let version = shell::output(shell::command("node").arg("--version")).context(help)?;
    if !is_new_enough(version.trim()) {
        bail!("Node is {}: {help}", version.trim());
    }
    Ok(())
}

/// What Vite asks for: `^20.19.0 || >=22.12.0`.
fn is_new_enough(node: &str) -> bool {
    let mut parts = node.trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(major), Some(minor)) => (major, minor) >= (22, 12),
        _ => false,
    }
}

/// A program by environment variable or PATH, else from apt.
pub fn program(variable: &str, names: &[&str], apt: &str) -> Result<PathBuf> {
    let on_path = || names.iter().find_map(|name| shell::find(name));
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        bail!("{variable} is {}, which is no file", path.display());
    }
    if let Some(path) = on_path() {
        return Ok(path);
    }
    let help = format!("install {} or set {variable} to its path", names[0]);
    apt_install(apt).context(help.clone())?;
    on_path().context(help)
}

/// The loader through which Dawn finds Vulkan drivers.
pub fn vulkan_loader() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let libraries = shell::output(Command::new("/sbin/ldconfig").arg("-p"))?;
    if libraries.contains("libvulkan.so.1") {
        return Ok(());
    }
    apt_install("libvulkan1").context("install the Vulkan loader, libvulkan.so.1")
}

/// A package of Debian's, where there is apt and one may.
pub fn apt_install(package: &str) -> Result<()> {
    if shell::find("apt-get").is_none() || !is_root() {
        bail!("{package} is missing, and only root can install it, where there is apt");
    }
    shell::say(&format!("{package} is missing"));
    let mut apt_get = shell::command("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get.args(["install", "--yes", "--no-install-recommends", package]);
    if shell::run(&mut apt_get).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists yet.
    shell::run(shell::command("apt-get").arg("update"))?;
    shell::run(&mut apt_get)
}

fn is_root() -> bool {
    shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_vite_runs_on_are_new_enough() {
        for version in ["v20.19.0", "v20.20.2", "v22.12.0", "v23.0.0", "v24.1.3"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["v18.20.0", "v20.18.3", "v21.7.3", "v22.11.0", "", "none"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
