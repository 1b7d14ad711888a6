//! `cargo xtask bundle-gpu`: an archive that verifies and measures the WebGPU module on a machine that has a GPU and
//! nothing else: no browser, no network, no cargo.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tinysam_golden::{Device, Golden, fixture};

use crate::bench::PICTURE;
use crate::modules::Module;
use crate::{bench, inputs, npm, shell, tools, verify};

/// Sides that there are goldens of.
const VERIFIED: [u32; 2] = [256, 1024];
const RUNS: u32 = 7;
/// What can be handed over.
const MOST_BYTES: u64 = 60_000_000;
const NAME: &str = "tinysam-gpu";

#[derive(clap::Args)]
pub struct Options {
    /// The archive; by default tinysam-gpu.tar.gz where cargo builds
    to: Option<PathBuf>,
    /// The folder of a module that is built already, of another version for instance; by default it is built
    #[arg(long)]
    module: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let module = Module::WebGpu.built(options.module.as_deref())?;
    npm::install("tests/harness")?;
    let whole = shell::cache("bundle")?;
    let folder = whole.join(NAME);
    fs::remove_dir_all(&folder).ok();
    for name in ["harness", "goldens", "jobs", "vulkan"] {
        fs::create_dir_all(folder.join(name))?;
    }
    scripts(&folder)?;
    copy_all(&module, &folder.join("module"), |name| !name.ends_with(".d.ts"))?;
    judge(&folder.join("judge"))?;
    jobs(&folder)?;
    node(&folder)?;
    loader(&folder.join("vulkan"))?;
    about(&folder)?;

    let to = options.to.clone().unwrap_or_else(|| shell::target().join(NAME).with_extension("tar.gz"));
    let to = std::path::absolute(to)?;
    let mut tar = shell::command("tar");
    tar.arg("--create").arg("--gzip").arg("--file").arg(&to).arg("--directory").arg(&whole).arg(NAME);
    shell::run(&mut tar)?;
    fs::remove_dir_all(&folder)?;
    let bytes = fs::metadata(&to)?.len();
    ensure!(bytes < MOST_BYTES, "{} has {bytes} bytes, over {MOST_BYTES}", to.display());
    shell::say(&format!("{}: {bytes} bytes. There: tar xzf {NAME}.tar.gz && {NAME}/measure.sh", to.display()));
    Ok(())
}

/// What runs there, and Dawn for it.
fn scripts(folder: &Path) -> Result<()> {
    let tests = shell::root().join("tests");
    copy_all(&tests.join("bundle"), folder, |_| true)?;
    for name in ["dawn.mjs", "engine.mjs", "node.mjs", "results.mjs"] {
        copy(&tests.join("harness").join(name), &folder.join("harness").join(name))?;
    }
    let dawn = Path::new("node_modules/webgpu");
    let (from, to) = (tests.join("harness").join(dawn), folder.join("harness").join(dawn));
    fs::create_dir_all(to.join("dist"))?;
    for name in ["index.js", "package.json", "LICENSE.md"] {
        copy(&from.join(name), &to.join(name))?;
    }
    let built = if cfg!(target_arch = "aarch64") { "dist/linux-arm64" } else { "dist/linux-x64" };
    copy_all(&from.join(built), &to.join(built), |_| true)
}

/// The goldens' own comparison, for Node.
fn judge(to: &Path) -> Result<()> {
    tools::wasm_target()?;
    let target = "wasm32-unknown-unknown";
    shell::run(shell::cargo().args(["build", "--package", "tinysam-judge", "--target", target]))?;
    let raw = shell::target().join(target).join("debug/tinysam_judge.wasm");
    let mut bind = shell::command(tools::wasm_bindgen()?.join("wasm-bindgen"));
    bind.args(["--target", "web", "--no-typescript", "--remove-name-section", "--out-dir"]).arg(to).arg(raw);
    shell::run(&mut bind)
}

/// What is to be run, on what, and what is expected.
fn jobs(folder: &Path) -> Result<()> {
    let job = |name: String, job: &crate::harness::Job| {
        inputs::write(&folder.join("jobs").join(name), &serde_json::to_vec(job)?)
    };
    for side in VERIFIED {
        let path = fixture(&format!("goldens/golden_{side}_synth.json"));
        let golden = Golden::open(&path)?;
        job(format!("verify-{side}.json"), &verify::job(&golden, Device::WebGpu))?;
        for ending in ["json", "safetensors"] {
            copy(&path.with_extension(ending), &folder.join(format!("goldens/{side}.{ending}")))?;
        }
    }
    // Of one side: the script puts the others in.
    job("bench.json".to_owned(), &bench::job(1024, RUNS)?)?;
    inputs::write(&folder.join("picture.rgba"), &PICTURE.pixels()?.rgba())
}

/// The Node that runs here, if it would run elsewhere: some distributions' is in pieces.
fn node(folder: &Path) -> Result<()> {
    let path = shell::output(shell::command("node").args(["--print", "process.execPath"]))?;
    let path = Path::new(path.trim());
    let libraries = shell::output(shell::command("ldd").arg(path))?;
    if libraries.contains("libnode") {
        shell::say("this machine's Node is no single file: the archive goes without, and takes the one it finds");
        return Ok(());
    }
    copy(path, &folder.join("node"))
}

/// Vulkan's loader, for a machine whose driver brought none.
fn loader(folder: &Path) -> Result<()> {
    tools::vulkan_loader()?;
    let libraries = shell::output(shell::command("/sbin/ldconfig").arg("-p"))?;
    let architecture = if cfg!(target_arch = "aarch64") { "AArch64" } else { "x86-64" };
    let line = libraries.lines().find(|line| line.contains("libvulkan.so.1") && line.contains(architecture));
    let path = line.and_then(|line| line.split("=> ").nth(1)).context("no libvulkan.so.1 among the libraries")?;
    copy(Path::new(path), &folder.join("libvulkan.so.1"))
}

/// What the archive is of.
fn about(folder: &Path) -> Result<()> {
    let dawn = fs::read(folder.join("harness/node_modules/webgpu/package.json"))?;
    let dawn: Value = serde_json::from_slice(&dawn).context("webgpu's package.json is no JSON")?;
    let revision = shell::output(shell::command("git").args(["describe", "--always", "--dirty"]));
    let pixels = PICTURE.pixels()?;
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": revision.map_or_else(|_| "no git".to_owned(), |text| text.trim().to_owned()),
        "dawn": dawn["version"],
        "verified": VERIFIED,
        "picture": { "width": pixels.width, "height": pixels.height },
    });
    inputs::write(&folder.join("about.json"), &serde_json::to_vec(&about)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// The files of a folder whose names are wanted.
fn copy_all(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot look into {}", from.display()))? {
        let name = entry?.file_name();
        if wanted(&name.to_string_lossy()) {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}
