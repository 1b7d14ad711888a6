//! `cargo xtask`: everything that is done with this repository, on any machine with rustup, Node and a browser
//! (or apt, to install one).

mod bench;
mod bundle;
mod chrome;
mod consumers;
mod convert;
mod demo;
mod docs;
mod fuzz;
mod gpu;
mod harness;
mod inputs;
mod modules;
mod mutants;
mod native;
mod notices;
mod npm;
mod pack;
mod project;
mod rival;
mod shell;
mod soak;
mod test;
mod tools;
mod unread;
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
    /// Build the page with the API reference beside it
    Docs,
    /// Compare a run with a golden, tensor by tensor
    Verify(verify::Options),
    /// Measure times, memory and sizes
    Bench(bench::Options),
    /// Tell what GPUs' compilers make of the kernels and what the WebGPU module asks of a GPU, without one
    Gpu(gpu::Options),
    /// Pack an archive that verifies and measures on a machine with a GPU and no network
    BundleGpu(bundle::Options),
    /// Write a checkpoint as a smaller safetensors file
    Convert(convert::Options),
    /// Encode the page's sample photos by the checkpoint beside the page, so that the page need not
    Samples,
    /// Change the sources of fal's door or of the engine and count the changes that their tests notice
    Mutants(mutants::Options),
    /// Install the tarball in every bundler and framework, build, serve and open it, and print a table
    Consumers(consumers::Options),
    /// Give any bytes at all to what reads files, texts and requests
    Fuzz(fuzz::Options),
    /// Work an engine hard in Chromium: hundreds of pictures, deaths, several tabs
    Soak,
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
        Command::Docs => docs::run(),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Gpu(options) => gpu::run(&options),
        Command::BundleGpu(options) => bundle::run(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Samples => native::samples(),
        Command::Mutants(options) => mutants::run(&options),
        Command::Consumers(options) => consumers::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Soak => soak::run(),
    }
}
