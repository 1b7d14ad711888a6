//! `cargo xtask bench`: times, memory and sizes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::harness::Job;
use crate::inputs::{Picture, Weights};
use crate::verify::On;
use crate::{modules, native, rival, shell};

/// The picture of the goldens.
pub const PICTURE: Picture = Picture::Synth(640, 480);
/// Any weights take as long.
pub const WEIGHTS: Weights = Weights::Formula(0);

/// Some 300 points, and thresholds that let some of the formula checkpoint's masks through.
pub const EVERYTHING: Everything =
    Everything { points_per_side: 20, pred_iou_thresh: 0.78, stability_score_thresh: 0.55, high_score_thresh: 3.0 };

/// What is changed of everything mode's options.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Everything {
    pub points_per_side: u32,
    pub pred_iou_thresh: f32,
    pub stability_score_thresh: f32,
    pub high_score_thresh: f32,
}

#[derive(clap::Args)]
pub struct Options {
    /// What computes
    #[arg(long, default_value = "browser-cpu", conflicts_with = "rival")]
    pub on: On,
    /// The side of the model's input
    #[arg(long, default_value_t = 1024)]
    pub size: u32,
    /// How often each thing is timed
    #[arg(long, default_value_t = 5)]
    pub runs: u32,
    /// So many workers of the package, on the CPU in the browser, in the place of its module alone
    #[arg(long, conflicts_with_all = ["rival", "module"])]
    pub workers: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The folder of a module that is built already, of another version for instance; by default it is built
    #[arg(long)]
    pub module: Option<PathBuf>,
    /// A folder of `python -m tinysam_training onnx` with the formula checkpoint: run the CPU module and onnxruntime-web
    /// on it in turn
    #[arg(long, value_name = "FOLDER")]
    pub rival: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub on: String,
    pub size: u32,
    /// As the engine names it.
    pub adapter: String,
    /// Milliseconds, in the order in which they happened.
    pub times: BTreeMap<String, Vec<f64>>,
    /// The most memory that the process or the WebAssembly instance had, in bytes; a GPU's own is not known.
    pub peak_memory: Option<u64>,
    /// Points that everything mode decoded.
    pub points: u64,
    /// Bytes to download: plain, gzip, brotli.
    pub code: BTreeMap<String, [u64; 3]>,
    /// Bytes of the weights' file.
    pub weights: u64,
}

pub fn run(options: &Options) -> Result<()> {
    if let Some(models) = &options.rival {
        return rival::run(models, options);
    }
    let Some((module, runtime)) = options.on.harness() else {
        return native::bench(options);
    };
    let folder = match options.workers {
        Some(_) => {
            ensure!(options.on == On::BrowserCpu, "--workers goes with --on browser-cpu");
            modules::package()?;
            module.folder()
        }
        None => module.built(options.module.as_deref())?,
    };
    let job = Job { workers: options.workers, ..job(options.size, options.runs)? };
    let facts = job.run(&folder, runtime, &WEIGHTS, &PICTURE)?.facts;
    let code = ["tinysam.js", "tinysam_bg.wasm"].map(|name| Ok((name.to_owned(), sizes(&folder.join(name))?)));
    report(
        options,
        &Measured {
            on: format!("{:?}", options.on),
            size: options.size,
            adapter: facts["adapter"].as_str().unwrap_or("unnamed").to_owned(),
            times: serde_json::from_value(facts["times"].clone())?,
            peak_memory: facts["memory"].as_u64(),
            points: facts["points"].as_u64().unwrap_or(0),
            code: code.into_iter().collect::<Result<_>>()?,
            weights: std::fs::metadata(WEIGHTS.file()?)?.len(),
        },
    )
}

/// What a run has to do to be timed.
pub fn job(size: u32, runs: u32) -> Result<Job> {
    let everything = serde_json::to_value(EVERYTHING)?;
    Ok(Job { kind: "bench", size, prompts: Vec::new(), want: Default::default(), everything, runs, workers: None })
}

/// Bytes of a file: plain, gzip, brotli, as a server sends them.
pub fn sizes(path: &Path) -> Result<[u64; 3]> {
    let script = shell::root().join("tests/harness/sizes.mjs");
    let text = shell::output(shell::command("node").arg(script).arg(path))?;
    serde_json::from_str(&text).with_context(|| format!("no sizes of {}", path.display()))
}

/// Prints what was measured.
pub fn report(options: &Options, measured: &Measured) -> Result<()> {
    if options.json {
        let mut json = serde_json::to_value(measured)?;
        let spreads = measured.times.iter().map(|(name, times)| (name.clone(), Spread::of(times)));
        json["spread"] = serde_json::to_value(spreads.collect::<BTreeMap<_, _>>())?;
        return print_json(&json);
    }
    println!("{} at {}, {}", measured.on, measured.size, measured.adapter);
    println!("{:<12} {:>10} {:>10} {:>10} {:>4}", "", "median ms", "least", "most", "n");
    for (name, times) in &measured.times {
        if let Some(Spread { median, least, most }) = Spread::of(times) {
            println!("{name:<12} {median:>10.1} {least:>10.1} {most:>10.1} {:>4}", times.len());
        }
    }
    let median = |name| measured.times.get(name).and_then(|times| Spread::of(times)).map(|spread| spread.median);
    if let (Some(one), Some(all), Some(encode)) = (median("decode1"), median("decode64"), median("encode")) {
        println!("64 boxes in one call take {:.2} of 64 calls", all / (64.0 * one));
        let everything = median("everything").unwrap_or(f64::NAN);
        println!("everything decoded {} points in {:.1} encodes", measured.points, everything / encode);
    }
    match measured.peak_memory {
        Some(bytes) => println!("peak memory  {:.0} MB", bytes as f64 / 1e6),
        None => println!("peak memory  not known here"),
    }
    for (name, [plain, gzip, brotli]) in &measured.code {
        println!("{name}: {plain} bytes, {gzip} gzip, {brotli} brotli");
    }
    println!("weights: {} bytes", measured.weights);
    Ok(())
}

fn print_json(json: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(json)?);
    Ok(())
}

/// Of several measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    most: f64,
}

impl Spread {
    pub fn of(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn median_and_spread() {
        assert_eq!(Spread::of(&[]), None);
        let odd = Spread { median: 2.0, least: 1.0, most: 9.0 };
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), Some(odd));
        let even = Spread { median: 2.5, least: 1.0, most: 9.0 };
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0, 3.0]), Some(even));
    }
}
