//! Runs of the WebAssembly modules outside this process: in headless Chromium, or in Node on Dawn.
//!
//! A job is a JSON file that tests/harness reads; what it finds out comes back in two files beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tinysam_golden::compare::Reduced;

use crate::inputs::{self, Picture, Weights};
use crate::{chrome, modules, npm, shell, tools};

/// What runs a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Browser,
    Node,
}

/// What is to be run.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// A function of tests/harness/engine.mjs.
    pub kind: &'static str,
    /// The side of the model's input.
    pub size: u32,
    /// In order.
    pub prompts: Vec<NamedPrompt>,
    /// `whole` or `samples` for each tensor that is compared.
    pub want: BTreeMap<String, &'static str>,
    /// Options of the everything mode.
    pub everything: Value,
    /// How often each thing is timed.
    pub runs: u32,
    /// Through the package, with so many workers; without, the module alone.
    pub workers: Option<u32>,
}

/// A golden's prompt in the package's words.
#[derive(Debug, Clone, Serialize)]
pub struct NamedPrompt {
    pub name: String,
    /// `points`, `labels`, `box`, `maskFrom`.
    pub prompt: Value,
}

/// What came of it.
pub struct Finished {
    /// What the job's kind returns.
    pub facts: Value,
    /// Name and reduced tensor, in the order in which they were computed.
    pub tensors: Vec<(String, Reduced)>,
}

impl Job {
    /// Runs this with the module of a folder.
    pub fn run(&self, module: &Path, runtime: Runtime, weights: &Weights, picture: &Picture) -> Result<Finished> {
        npm::install("tests/harness")?;
        let out = shell::cache("runs")?.join(std::process::id().to_string());
        fs::create_dir_all(&out)?;
        let finished = self.run_in(&out, module, runtime, weights, picture);
        fs::remove_dir_all(&out).ok();
        finished
    }

    fn run_in(
        &self,
        out: &Path,
        module: &Path,
        runtime: Runtime,
        weights: &Weights,
        picture: &Picture,
    ) -> Result<Finished> {
        let mut job = serde_json::to_value(self)?;
        job["module"] = json!(module);
        job["weights"] = json!(weights.file()?);
        job["image"] = image(picture, runtime, out)?;
        job["package"] = json!(modules::dist());
        job["out"] = json!(out);
        let script = match runtime {
            Runtime::Node => {
                tools::vulkan_loader()?;
                "node.mjs"
            }
            Runtime::Browser => {
                job["browser"] = json!({ "path": chrome::browser()?, "flags": chrome::flags()? });
                "browser.mjs"
            }
        };
        let path = out.join("job.json");
        fs::write(&path, serde_json::to_vec(&job)?)?;
        let script = shell::root().join("tests/harness").join(script);
        shell::run(shell::command("node").arg(script).arg(&path))?;
        read(out)
    }
}

/// A browser decodes files itself, as it does for users; everything else gets pixels.
pub fn image(picture: &Picture, runtime: Runtime, out: &Path) -> Result<Value> {
    if let (Picture::File(path), Runtime::Browser) = (picture, runtime) {
        let path = path.canonicalize().with_context(|| format!("no picture at {}", path.display()))?;
        return Ok(json!({ "path": path, "encoded": true }));
    }
    let pixels = picture.pixels()?;
    let path = out.join("image.rgba");
    inputs::write(&path, &pixels.rgba())?;
    Ok(json!({ "path": path, "encoded": false, "width": pixels.width, "height": pixels.height }))
}

#[derive(Deserialize)]
struct Answer {
    facts: Value,
    tensors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    count: usize,
    sum: String,
    l2: String,
}

fn read(out: &Path) -> Result<Finished> {
    let file = |name: &str| -> Result<Vec<u8>> {
        let path: PathBuf = out.join(name);
        fs::read(&path).with_context(|| format!("the run left no {}", path.display()))
    };
    let answer: Answer = serde_json::from_slice(&file("tensors.json")?)?;
    let data = file("tensors.bin")?;
    let mut rest = data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    let mut tensors = Vec::new();
    for Entry { name, shape, count, sum, l2 } in answer.tensors {
        let values: Vec<f32> = rest.by_ref().take(count).collect();
        ensure!(values.len() == count, "the run's answer ends within {name}");
        let number = |text: &str| text.parse().unwrap_or(f64::NAN);
        tensors.push((name, Reduced { shape, values, sum: number(&sum), l2: number(&l2) }));
    }
    Ok(Finished { facts: answer.facts, tensors })
}
