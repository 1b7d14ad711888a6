//! onnxruntime-web's WebGPU provider with the same model on the same null device, to compare with.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::Options;
use super::null_device::NullDevice;
use super::run::Phase;
use crate::{npm, shell};

/// Has it, of a pinned version.
pub const FOLDER: &str = "tests/instrument";

/// What tests/instrument/onnxruntime.mjs found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Of the package.
    pub version: String,
    pub first_encode: Phase,
    pub encode: Vec<Phase>,
    pub first_decode: Phase,
    pub decode: Vec<Phase>,
}

/// The whole path of a folder that holds the exported model.
pub fn models(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().with_context(|| {
        format!("no folder {}: `python -m tinysam_training onnx WEIGHTS {0}` in training/ writes it", folder.display())
    })
}

/// Runs `encoder.onnx` and `decoder.onnx` of a folder, which `python -m tinysam_training onnx` writes.
pub fn run(folder: &Path, options: &Options) -> Result<Facts> {
    let folder = models(folder)?;
    npm::install("tests/harness")?;
    npm::install(FOLDER)?;
    let runs = shell::cache("runs")?;
    let [job, out] = ["job", "facts"].map(|name| runs.join(format!("{}-onnx-{name}.json", std::process::id())));
    let described = json!({ "models": folder, "size": options.size, "runs": options.runs, "out": out });
    fs::write(&job, described.to_string()).with_context(|| format!("cannot write {}", job.display()))?;
    let script = shell::root().join(FOLDER).join("onnxruntime.mjs");
    shell::run(NullDevice::Rdna2.node()?.arg(script).arg(&job))?;
    let facts = fs::read(&out).with_context(|| format!("the run left no {}", out.display()))?;
    fs::remove_file(&job).ok();
    fs::remove_file(&out).ok();
    serde_json::from_slice(&facts).context("the run's facts cannot be read")
}

impl Facts {
    /// As [`super::table::costs`] takes them.
    pub fn phases(&self) -> [(&'static str, &[Phase]); 4] {
        [
            ("first encode", from_ref(&self.first_encode)),
            ("encode", &self.encode),
            ("first prompt", from_ref(&self.first_decode)),
            ("prompt", &self.decode),
        ]
    }
}
