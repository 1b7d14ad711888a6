//! The two WebAssembly modules, and the package around them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{npm, shell, tools, unread};

/// One module: a page loads the one that its machine can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// WebAssembly SIMD.
    Cpu,
    /// Any adapter; its host code only records commands, so it is built for size.
    WebGpu,
}

/// Chromium rejects what `--all-features` emits, so the features are named.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-simd",
];

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Module {
    /// Cargo's feature, and the folder in the package.
    pub fn name(self) -> &'static str {
        match self {
            Module::Cpu => "cpu",
            Module::WebGpu => "webgpu",
        }
    }

    /// Cargo's profile.
    fn profile(self) -> &'static str {
        match self {
            Module::Cpu => "release",
            Module::WebGpu => "webgpu",
        }
    }

    fn optimisation(self) -> &'static str {
        match self {
            Module::Cpu => "-O3",
            Module::WebGpu => "-Oz",
        }
    }

    /// Where it lies in the package.
    pub fn folder(self) -> PathBuf {
        dist().join(self.name())
    }

    /// What cargo is told to build it.
    pub fn cargo_arguments(self) -> [&'static str; 9] {
        self.cargo_arguments_for(self.profile())
    }

    fn cargo_arguments_for(self, profile: &'static str) -> [&'static str; 9] {
        let name = self.name();
        let target = "wasm32-unknown-unknown";
        let package = "tinysam";
        ["-p", package, "--target", target, "--profile", profile, "--no-default-features", "-F", name]
    }

    /// Compiles, binds and optimises it into [`Module::folder`]. What is unchanged is taken from before.
    pub fn build(self) -> Result<PathBuf> {
        tools::wasm_target()?;
        shell::run(shell::cargo().args(["build", "--lib"]).args(self.cargo_arguments()))?;
        let mut raw = shell::target().join("wasm32-unknown-unknown").join(self.profile()).join("tinysam.wasm");
        if self == Module::WebGpu {
            raw = unread::without(&raw)?;
        }
        let finished = shell::cache("modules")?.join(format!("{}-{}", self.name(), self.key(&raw)?));
        if !finished.is_dir() {
            let unfinished = finished.with_extension("unfinished");
            fs::remove_dir_all(&unfinished).ok();
            bind(&raw, &unfinished)?;
            self.optimise(&unfinished)?;
            fs::rename(&unfinished, &finished)?;
            forget_old(&shell::cache("modules")?)?;
        }
        shell::copy_folder(&finished, &self.folder())?;
        Ok(self.folder())
    }

    /// Compiles and binds it into [`Module::folder`] as soon as can be: larger than it need be, and a little slower.
    fn build_quickly(self) -> Result<()> {
        tools::wasm_target()?;
        let profile = "quick";
        shell::run(shell::cargo().args(["build", "--lib"]).args(self.cargo_arguments_for(profile)))?;
        let raw = shell::target().join("wasm32-unknown-unknown").join(profile).join("tinysam.wasm");
        bind(&raw, &self.folder())
    }

    /// The folder of a module that was built before, if one is given; else as [`Module::build`].
    pub fn built(self, before: Option<&Path>) -> Result<PathBuf> {
        match before {
            Some(folder) => folder.canonicalize().with_context(|| format!("no module at {}", folder.display())),
            None => self.build(),
        }
    }

    /// Changes with everything that the finished module depends on.
    fn key(self, raw: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(shell::sha256(raw)?);
        hash.update(fs::read(shell::root().join("tests/harness/package-lock.json"))?);
        hash.update(self.optimisation());
        Ok(tinysam_golden::hex(&hash.finalize())[..16].to_owned())
    }

    fn optimise(self, out: &Path) -> Result<()> {
        npm::install("tests/harness")?;
        let (bound, small) = (out.join("tinysam_bg.wasm"), out.join("small.wasm"));
        let mut optimise = npm::bin("tests/harness", "wasm-opt");
        optimise.arg(self.optimisation()).args(FEATURES).arg(&bound).arg("-o").arg(&small);
        shell::run(&mut optimise)?;
        fs::rename(small, bound).context("cannot move the optimised module")
    }
}

/// The built package.
pub fn dist() -> PathBuf {
    shell::root().join("pkg/dist")
}

/// JavaScript's side of a compiled module.
fn bind(raw: &Path, out: &Path) -> Result<()> {
    let bindgen = tools::wasm_bindgen()?.join("wasm-bindgen");
    let mut bind = shell::command(bindgen);
    bind.args(["--target", "web", "--out-name", "tinysam", "--out-dir"]).arg(out).arg(raw);
    shell::run(&mut bind)
}

/// Whether the modules were compiled before, as they are shipped: it takes a quarter of an hour.
pub fn built_before() -> bool {
    shell::target().join("wasm32-unknown-unknown").join(Module::WebGpu.profile()).is_dir()
}

/// Both modules and the TypeScript around them.
pub fn package() -> Result<()> {
    if !built_before() {
        shell::say(
            "Two modules of WebAssembly are compiled now. The first time takes a quarter of an hour on two cores; later \
             ones, seconds.",
        );
    }
    Module::Cpu.build()?;
    Module::WebGpu.build()?;
    typescript()
}

/// A package that computes on the CPU, and for WebGPU has an empty file, which an engine that may choose does without.
pub fn quick_package() -> Result<()> {
    Module::Cpu.build_quickly()?;
    let folder = Module::WebGpu.folder();
    shell::copy_folder(&Module::Cpu.folder(), &folder)?;
    fs::write(folder.join("tinysam_bg.wasm"), []).context("cannot write the empty module")?;
    typescript()
}

fn typescript() -> Result<()> {
    npm::install("pkg")?;
    shell::run(npm::npm("pkg").args(["run", "build"]))
}

/// Modules that were finished over a week ago are made again if they are ever wanted.
fn forget_old(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > WEEK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
