//! `cargo xtask verify`: a run against a golden.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tinysam_golden::compare::{Comparer, Want};
use tinysam_golden::everything::{Config, RunMask};
use tinysam_golden::golden::Prompt;
use tinysam_golden::{Device, Everything, Golden, Report, formula, synth};

use crate::harness::{Job, NamedPrompt, Runtime};
use crate::inputs::{Picture, Weights};
use crate::modules::Module;
use crate::{native, shell};

#[derive(clap::Args)]
pub struct Options {
    /// A .pth or .safetensors file, or formula:SEED
    #[arg(long)]
    pub checkpoint: Weights,
    /// A PNG or JPEG file, or synth:WxH
    #[arg(long)]
    pub image: Picture,
    /// golden_*.json with its .safetensors beside it, or everything_*.json
    #[arg(long)]
    pub golden: PathBuf,
    /// What computes
    #[arg(long)]
    pub on: On,
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum On {
    /// This machine, without a browser
    NativeCpu,
    /// WebAssembly in headless Chromium
    BrowserCpu,
    /// WebGPU in headless Chromium, on its software adapter
    BrowserWebgpu,
    /// The browser's WebGPU module in Node, on the machine's Vulkan driver
    NodeWebgpu,
}

impl On {
    /// The module and what runs it; nothing for this process.
    pub fn harness(self) -> Option<(Module, Runtime)> {
        match self {
            On::NativeCpu => None,
            On::BrowserCpu => Some((Module::Cpu, Runtime::Browser)),
            On::BrowserWebgpu => Some((Module::WebGpu, Runtime::Browser)),
            On::NodeWebgpu => Some((Module::WebGpu, Runtime::Node)),
        }
    }
}

/// Either kind of golden.
pub enum Expected {
    Tensors(Golden),
    Everything(Everything),
}

impl Expected {
    pub fn open(options: &Options) -> Result<Self> {
        let path = &options.golden;
        let json = std::fs::read(path).with_context(|| format!("no golden at {}", path.display()))?;
        let json: serde_json::Value = serde_json::from_slice(&json)?;
        if json.get("tensors").is_none() {
            return Ok(Self::Everything(Everything::open(path)?));
        }
        let golden = Golden::open(path)?;
        warn(&golden, options)?;
        Ok(Self::Tensors(golden))
    }
}

/// Says so where the inputs are not those that the golden was made of. The tensors decide all the same: a JPEG,
/// for one, is decoded a little differently by each decoder.
fn warn(golden: &Golden, options: &Options) -> Result<()> {
    let pixels = options.image.pixels()?;
    let (width, height) = golden.original;
    if (pixels.width, pixels.height) != golden.original {
        bail!("the golden is of a picture of {width}×{height}, not {}×{}", pixels.width, pixels.height);
    }
    let image = synth::image_sha256(&pixels.rgb);
    if golden.image_sha256.as_ref().is_some_and(|expected| *expected != image) {
        shell::say("note: these are not the pixels that the golden was made of");
    }
    if let (Weights::Formula(seed), Some(expected)) = (&options.checkpoint, &golden.weights_sha256)
        && formula::weights_sha256(*seed) != *expected
    {
        shell::say("note: these are not the weights that the golden was made of");
    }
    Ok(())
}

pub fn run(options: &Options) -> Result<()> {
    let Some((module, runtime)) = options.on.harness() else {
        return native::verify(options);
    };
    let device = if module == Module::Cpu { Device::Cpu } else { Device::WebGpu };
    let report = match Expected::open(options)? {
        Expected::Tensors(golden) => trace(options, &golden, module, runtime, device)?,
        Expected::Everything(golden) => everything(options, &golden, module, runtime, device)?,
    };
    conclude(&report)
}

/// Prints the table; fails if a row does.
pub fn conclude(report: &Report) -> Result<()> {
    println!("{report}");
    if !report.passed() {
        bail!("the run does not agree with the golden");
    }
    Ok(())
}

fn trace(options: &Options, golden: &Golden, module: Module, runtime: Runtime, device: Device) -> Result<Report> {
    let mut comparer = Comparer::new(golden, device);
    let finished = job(golden, device).run(&module.build()?, runtime, &options.checkpoint, &options.image)?;
    shell::say(&format!("computed by {}", finished.facts));
    for (name, tensor) in &finished.tensors {
        comparer.observe_reduced(name, tensor);
    }
    Ok(comparer.finish())
}

/// What a run has to do to be compared with a golden.
pub fn job(golden: &Golden, device: Device) -> Job {
    let comparer = Comparer::new(golden, device);
    let want = golden.tensors.iter().filter_map(|(name, _)| {
        let want = comparer.want(name)?;
        Some((name.clone(), if want == Want::Whole { "whole" } else { "samples" }))
    });
    Job {
        kind: "trace",
        size: golden.size,
        prompts: golden.prompts.iter().map(named).collect(),
        want: want.collect(),
        everything: json!(null),
        runs: 1,
        workers: None,
    }
}

fn named((name, prompt): &(String, Prompt)) -> NamedPrompt {
    let mut json = json!({});
    if !prompt.points.is_empty() {
        json["points"] = json!(prompt.points);
        json["labels"] = json!(prompt.labels);
    }
    if let Some(bbox) = prompt.bbox {
        json["box"] = json!(bbox);
    }
    if let Some(source) = &prompt.mask_from {
        json["maskFrom"] = json!(source);
    }
    NamedPrompt { name: name.clone(), prompt: json }
}

fn everything(
    options: &Options,
    golden: &Everything,
    module: Module,
    runtime: Runtime,
    device: Device,
) -> Result<Report> {
    let job = Job {
        kind: "everything",
        size: golden.size,
        prompts: Vec::new(),
        want: Default::default(),
        everything: settings(&golden.config),
        runs: 1,
        workers: None,
    };
    let facts = job.run(&module.build()?, runtime, &options.checkpoint, &options.image)?.facts;
    let points = facts["points"].as_u64().context("the run told no number of points")?;
    let masks: Vec<RunMask> = serde_json::from_value(facts["masks"].clone())?;
    Ok(golden.compare(points as usize, &masks, device))
}

/// The generator's settings in the package's words.
fn settings(config: &Config) -> serde_json::Value {
    json!({
        "pointsPerSide": config.points_per_side,
        "predIouThresh": config.pred_iou_thresh,
        "highScoreThresh": config.high_score_thresh,
        "stabilityScoreThresh": config.stability_score_thresh,
        "stabilityScoreOffset": config.stability_score_offset,
        "boxNmsThresh": config.box_nms_thresh,
        "minMaskRegionArea": config.min_mask_region_area,
    })
}
