//! `cargo xtask mutants`: whether the tests would see a fault. The sources are changed in one small place at a time, and
//! the tests run on each change: one that they let pass is shown. Not a part of the tests: it takes long.

mod door;
mod engine;

use anyhow::Result;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct Options {
    /// What is changed
    #[arg(value_enum, default_value_t = Part::Door)]
    part: Part,
    /// How many changes to try, spread over all sources; all of them, if there are fewer
    #[arg(long, default_value_t = 200)]
    most: usize,
    /// Only in files with this in their names
    #[arg(long, default_value = "")]
    file: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// fal's door, `pkg/src/fal`, judged by `tests/fal`
    Door,
    /// The engine but for network and browser, judged by its native tests
    Engine,
}

pub fn run(options: &Options) -> Result<()> {
    match options.part {
        Part::Door => door::run(options),
        Part::Engine => engine::run(options),
    }
}
