//! Without the engine: the same command once more, with it.

use anyhow::Result;

use crate::{bench, convert, shell, verify};

pub fn verify(_: &verify::Options) -> Result<()> {
    again()
}

pub fn bench(_: &bench::Options) -> Result<()> {
    again()
}

pub fn convert(_: &convert::Options) -> Result<()> {
    again()
}

pub fn samples() -> Result<()> {
    again()
}

fn again() -> Result<()> {
    let mut cargo = shell::cargo();
    // Where it was called, because its arguments may name files from there.
    cargo.current_dir(std::env::current_dir()?);
    cargo.args(["run", "--quiet", "--package", "xtask", "--features", "native", "--manifest-path"]);
    cargo.arg(shell::root().join("Cargo.toml")).arg("--").args(std::env::args_os().skip(1));
    shell::run(&mut cargo)
}
