//! `cargo xtask bench --rival`: the CPU module and onnxruntime-web with the same model, in one browser, in turn.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bench::{Options, PICTURE, Spread, WEIGHTS};
use crate::gpu::onnxruntime;
use crate::harness::{self, Runtime};
use crate::modules::Module;
use crate::{chrome, modules, npm, shell};

/// What tests/harness/rival.mjs found.
#[derive(Serialize, Deserialize)]
pub struct Facts {
    /// Of onnxruntime-web.
    version: String,
    size: u32,
    /// The engine with one worker and with several, then onnxruntime-web.
    contestants: Vec<Contestant>,
}

#[derive(Serialize, Deserialize)]
struct Contestant {
    /// The engine's; nothing for onnxruntime-web.
    workers: Option<usize>,
    /// onnxruntime-web's; nothing for the engine.
    threads: Option<usize>,
    /// Of its low-res logits from the engine's, relative RMS.
    deviation: Option<f64>,
    encode: Times,
    /// From an embedding to a mask of the photo's size with the engine, to three of a quarter of the model's side with
    /// onnxruntime-web.
    prompt: Times,
}

/// Milliseconds, in the order in which they happened.
#[derive(Serialize, Deserialize)]
struct Times {
    wall: Vec<f64>,
    /// Of all the browser's threads.
    cpu: Vec<f64>,
}

/// Measures against the model in a folder, and prints the table.
pub fn run(models: &Path, options: &Options) -> Result<()> {
    let models = onnxruntime::models(models)?;
    modules::package()?;
    let module = Module::Cpu.built(options.module.as_deref())?;
    npm::install("tests/harness")?;
    npm::install(onnxruntime::FOLDER)?;
    let out = shell::cache("runs")?.join(format!("{}-rival", std::process::id()));
    fs::create_dir_all(&out)?;
    let facts = run_in(&out, &models, &module, options);
    fs::remove_dir_all(&out).ok();
    let facts = facts?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&facts)?);
        return Ok(());
    }
    print!("{}", facts.table().context("nothing was timed")?);
    Ok(())
}

fn run_in(out: &Path, models: &Path, module: &Path, options: &Options) -> Result<Facts> {
    let mut threads = vec![1, std::thread::available_parallelism()?.get()];
    threads.dedup();
    let (job, found) = (out.join("job.json"), out.join("facts.json"));
    let described = json!({
        "size": options.size,
        "runs": options.runs,
        "threads": threads,
        "module": module,
        "package": modules::dist(),
        "weights": WEIGHTS.file()?,
        "image": harness::image(&PICTURE, Runtime::Browser, out)?,
        "models": models,
        "onnxruntime": shell::root().join(onnxruntime::FOLDER).join("node_modules/onnxruntime-web"),
        "browser": { "path": chrome::browser()?, "flags": chrome::flags()? },
        "out": found,
    });
    fs::write(&job, described.to_string()).with_context(|| format!("cannot write {}", job.display()))?;
    shell::run(shell::command("node").arg(shell::root().join("tests/harness/rival.mjs")).arg(&job))?;
    let facts = fs::read(&found).with_context(|| format!("the run left no {}", found.display()))?;
    serde_json::from_slice(&facts).context("the run's facts cannot be read")
}

impl Facts {
    /// Nothing if there were no runs.
    fn table(&self) -> Option<String> {
        let deviation = self.contestants.iter().filter_map(|one| one.deviation).fold(0.0, f64::max);
        Some(format!(
            "tinysam and onnxruntime-web {} at {}, in turn\n\n{}\n{}\nlow-res logits differ by {deviation:.1e}, relative RMS\n",
            self.version,
            self.size,
            self.part("encode", |one| &one.encode)?,
            self.part("one prompt", |one| &one.prompt)?,
        ))
    }

    /// Medians, also of each run's time with the engine over that with onnxruntime-web beside it: a machine that is busy for
    /// a while is so for both. But two threads on two busy cores lose more than one does: of them the least tells.
    fn part(&self, name: &str, times: fn(&Contestant) -> &Times) -> Option<String> {
        let heads = ["median ms", "least", "CPU's", "n", "ours/it", "least", "CPU's"].map(|head| format!("{head:>10}"));
        let mut out = format!("{name:<28}{}\n", heads.concat());
        for contestant in &self.contestants {
            let theirs = times(contestant);
            // One thread beside one worker, several beside several.
            let ours =
                times(self.contestants.iter().find(|ours| ours.workers == contestant.threads.or(contestant.workers))?);
            let (wall, cpu) = (Spread::of(&theirs.wall)?, Spread::of(&theirs.cpu)?.median);
            out += &format!("{:<28}{:>10.1}{:>10.1}{cpu:>10.1}", contestant.name(), wall.median, wall.least);
            let least = Spread::of(&ours.wall)?.least / wall.least;
            let (share, cpu_share) = (share(&ours.wall, &theirs.wall)?, share(&ours.cpu, &theirs.cpu)?);
            out += &format!("{:>10}{share:>10.2}{least:>10.2}{cpu_share:>10.2}\n", theirs.wall.len());
        }
        Some(out)
    }
}

/// The median of what each of `ours` is over that of `theirs` of the same run.
fn share(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let shares: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    Some(Spread::of(&shares)?.median)
}

impl Contestant {
    fn name(&self) -> String {
        match (self.workers, self.threads) {
            (Some(1), _) => "tinysam, 1 worker".to_owned(),
            (Some(workers), _) => format!("tinysam, {workers} workers"),
            (None, Some(1) | None) => "onnxruntime-web, 1 thread".to_owned(),
            (None, Some(threads)) => format!("onnxruntime-web, {threads} threads"),
        }
    }
}
