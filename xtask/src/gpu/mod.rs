//! `cargo xtask gpu`: what real GPUs' compilers make of the kernels, and what the WebGPU module asks of a GPU, told
//! without one. A device that executes nothing leaves what the CPU does, and every call can be counted.

mod assembly;
pub mod counted;
mod null_device;
pub mod onnxruntime;
mod run;
mod table;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;

use crate::modules::Module;
use null_device::NullDevice;
use run::{Facts, Job};

#[derive(clap::Args)]
pub struct Options {
    /// The side of the model's input
    #[arg(long, default_value_t = 1024)]
    size: u32,
    /// How often each thing is timed
    #[arg(long, default_value_t = 9)]
    runs: u32,
    /// The folder of a module that is built already, of another version for instance; by default it is built
    #[arg(long)]
    module: Option<PathBuf>,
    /// A folder of `python -m tinysam_training onnx`: measure onnxruntime-web's WebGPU on it, too
    #[arg(long)]
    onnx: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let module = Module::WebGpu.built(options.module.as_deref())?;
    let job = |device, kernels| Job { module: &module, device, kernels, size: options.size, runs: options.runs };
    let first = job(NullDevice::Rdna2, None).run()?;
    // Told at the end, for what is run says a word or two itself.
    let mut out = format!("# WebGPU at {} on a device that executes nothing\n\n", options.size);
    let _ = writeln!(out, "{}\n{}", table::costs(table::phases(&first)), table::kept(&first));
    if let Some(folder) = &options.onnx {
        let theirs = onnxruntime::run(folder, options)?;
        let _ = writeln!(out, "## onnxruntime-web {}, WebGPU, the same model on the same device\n", theirs.version);
        let _ = writeln!(out, "{}", table::costs(theirs.phases()));
    }
    let mut configurations: Vec<Option<&str>> = first.configurations.iter().map(|name| Some(name.as_str())).collect();
    if configurations.is_empty() {
        configurations.push(None);
    }
    for device in NullDevice::ALL {
        for &kernels in &configurations {
            let facts: Facts = job(device, kernels).run()?;
            let _ = writeln!(out, "## {}, kernels {}\n", device.name(), kernels.unwrap_or("of one kind"));
            let _ = writeln!(out, "{}", table::kernels(&facts, device));
        }
    }
    print!("{out}");
    Ok(())
}
