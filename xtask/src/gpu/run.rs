//! A run of the WebGPU module on a null device, and what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::assembly::Mix;
use super::null_device::NullDevice;
use crate::bench::WEIGHTS;
use crate::{npm, shell};

/// What is to be run.
pub struct Job<'a> {
    /// The folder of the module.
    pub module: &'a Path,
    pub device: NullDevice,
    /// One of [`Facts::configurations`], or what the module chooses by itself.
    pub kernels: Option<&'a str>,
    /// The side of the model's input.
    pub size: u32,
    /// How often encode and decode are repeated.
    pub runs: u32,
}

/// What tests/instrument/module.mjs found.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The driver, as the adapter tells it.
    pub adapter: String,
    /// Of the WebAssembly module.
    pub exports: Vec<String>,
    /// The kernels' configurations that the module names; empty where there is only one way.
    pub configurations: Vec<String>,
    /// The one that ran.
    pub chosen: String,
    /// From bytes in memory to ready.
    pub load: Phase,
    pub first_encode: Phase,
    /// Each frees the embedding before it.
    pub encode: Vec<Phase>,
    pub first_decode: Phase,
    /// One point.
    pub decode: Vec<Phase>,
    /// Bytes of the buffers that were created for each further embedding while all before it are kept, and a prompt.
    pub kept: Vec<i64>,
    /// Those that the last encode and the last decode dispatched.
    pub kernels: Vec<Kernel>,
}

/// Something that was timed and counted.
#[derive(Debug, Default, Deserialize)]
pub struct Phase {
    /// Milliseconds that passed.
    pub wall: f64,
    /// Milliseconds of the processor, all threads.
    pub cpu: f64,
    /// Calls of WebGPU by name.
    pub calls: BTreeMap<String, u64>,
    /// [`Kernel::shader`] and workgroups, in order.
    pub dispatches: Vec<(usize, u32, u32, u32)>,
    /// Buffers created, less those destroyed.
    pub buffers: i64,
    /// Bytes of them.
    pub bytes: i64,
}

/// A kernel, and what the device's compiler made of it.
#[derive(Debug, Default, Deserialize)]
pub struct Kernel {
    /// Not unique: kernels of one name differ in their constants.
    pub name: String,
    /// In the order in which the module made its pipelines.
    pub shader: usize,
    /// WGSL.
    pub code: String,
    /// As the driver names them.
    pub statistics: BTreeMap<String, String>,
    /// Instructions as the driver prints them.
    pub assembly: String,
}

impl Job<'_> {
    /// Runs it in a process of its own.
    pub fn run(&self) -> Result<Facts> {
        npm::install("tests/harness")?;
        let folder = shell::cache("runs")?;
        let [job, out] = ["job", "facts"].map(|name| folder.join(format!("{}-{name}.json", std::process::id())));
        let facts = self.run_in(&job, &out);
        fs::remove_file(&job).ok();
        fs::remove_file(&out).ok();
        facts
    }

    fn run_in(&self, job: &Path, out: &Path) -> Result<Facts> {
        let Job { module, kernels, size, runs, .. } = self;
        let weights = WEIGHTS.file()?;
        let described = json!({
            "module": module, "weights": weights, "kernels": kernels, "size": size, "runs": runs, "out": out,
        });
        fs::write(job, described.to_string()).with_context(|| format!("cannot write {}", job.display()))?;
        let script = shell::root().join("tests/instrument/module.mjs");
        shell::run(self.device.node()?.arg(script).arg(job))?;
        let facts = fs::read(out).with_context(|| format!("the run left no {}", out.display()))?;
        serde_json::from_slice(&facts).context("the run's facts cannot be read")
    }
}

impl Facts {
    /// How often a kernel is dispatched in an encode and in a decode.
    pub fn uses(&self, kernel: &Kernel) -> [usize; 2] {
        [&self.encode, &self.decode].map(|phases| {
            let last = phases.last().map_or(&[][..], |phase| &phase.dispatches);
            last.iter().filter(|(shader, ..)| *shader == kernel.shader).count()
        })
    }
}

impl Kernel {
    /// Registers moved to memory and back, for want of registers.
    pub fn spills(&self) -> u64 {
        ["Spilled VGPRs", "Spill Count"].iter().map(|name| self.number(name)).sum()
    }

    /// A statistic; 0 where the driver has no such.
    pub fn number(&self, name: &str) -> u64 {
        self.statistics.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Of its innermost loop.
    pub fn mix(&self) -> Mix {
        Mix::of(&self.assembly)
    }

    /// What tells it from others of its name: its constants, as far as they are whole numbers.
    pub fn constants(&self, others: &[Kernel]) -> String {
        let of = |kernel: &Kernel| -> BTreeMap<String, String> {
            let constants = kernel.code.lines().filter_map(|line| line.trim().strip_prefix("const "));
            let pairs = constants.filter_map(|line| line.trim_end_matches(';').split_once('='));
            pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().trim_end_matches('u').to_owned())).collect()
        };
        let own = of(self);
        let differ: BTreeSet<&String> = own
            .keys()
            .filter(|&name| others.iter().any(|other| other.name == self.name && of(other).get(name) != own.get(name)))
            .collect();
        differ.iter().map(|&name| format!("{name} {}", own[name])).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_one_name_differ_by_constants() {
        let kernel = |name: &str, code: &str| Kernel { name: name.into(), code: code.into(), ..Kernel::default() };
        let all = [
            kernel("product", "const ROWS = 64u;\nconst COLUMNS = 16u;\nfn product() {}"),
            kernel("product", "const ROWS = 32u;\nconst COLUMNS = 16u;\nfn product() {}"),
            kernel("heads", "const ROWS = 7u;"),
        ];
        assert_eq!([0, 1, 2].map(|at: usize| all[at].constants(&all)), ["ROWS 64", "ROWS 32", ""]);
    }

    #[test]
    fn uses_are_those_of_the_last_run() {
        let phase = |shaders: &[usize]| Phase {
            dispatches: shaders.iter().map(|&shader| (shader, 1, 1, 1)).collect(),
            ..Phase::default()
        };
        let facts =
            Facts { encode: vec![phase(&[3, 3, 3]), phase(&[3, 4, 3])], decode: vec![phase(&[4])], ..Facts::default() };
        let uses = |shader| facts.uses(&Kernel { shader, ..Kernel::default() });
        assert_eq!([uses(3), uses(4), uses(5)], [[2, 0], [1, 1], [0, 0]]);
    }
}
