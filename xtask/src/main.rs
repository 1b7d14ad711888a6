//! `cargo xtask`: everything that is done with this repository, on any machine with rustup, Node and a browser
//! (or apt, to install one).

mod bench;
mod chrome;
mod convert;
mod demo;
mod harness;
mod inputs;
mod modules;
mod native;
mod notices;
mod npm;
mod pack;
mod shell;
mod test;
mod tools;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests, measures and shows tinysam")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the package and serve the demo page
    Demo(demo::Options),
    /// Run every test there is
    Test,
    /// Build the two WebAssembly modules and the TypeScript of the package
    Build,
    /// Make the npm tarball and check what it holds
    Pack,
    /// Compare a run with a golden, tensor by tensor
    Verify(verify::Options),
    /// Measure times, memory and sizes
    Bench(bench::Options),
    /// Write a checkpoint as a smaller safetensors file
    Convert(convert::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Test => test::run(),
        Command::Build => modules::package(),
        Command::Pack => pack::run().map(drop),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Convert(options) => convert::run(&options),
    }
}
