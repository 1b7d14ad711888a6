//! The changes of the engine, by cargo-mutants, and the tests that see them without a browser: the library's own, but
//! those of the network, and `tests/checkpoint`.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Options;
use crate::shell;

/// What is changed. The network is held by goldens, tensor by tensor, and what a picture becomes by its bytes' hash.
const FOLDERS: [&str; 5] = ["checkpoint", "endpoint", "export", "mask", "segment"];

pub fn run(options: &Options) -> Result<()> {
    ensure!(shell::find("cargo-mutants").is_some(), "cargo-mutants is missing: cargo install cargo-mutants --locked");
    let all = shell::output(mutants(options).arg("--list"))?.lines().count();
    ensure!(all > 0, "no source is named like {}", options.file);
    let shards = all.div_ceil(options.most.max(1));
    shell::say(&format!("{} of {all} changes", all.div_ceil(shards)));
    let mut command = mutants(options);
    // One of each stretch, as if the list were dealt out.
    command.args(["--shard", &format!("0/{shards}"), "--sharding", "round-robin"]);
    command.arg("--output").arg(shell::cache("mutants-engine")?);
    command.args(["--in-place", "--baseline", "skip", "--timeout", "300"]);
    // The same features as in `cargo xtask test`, whose dependencies serve, and the crate itself compiled quickly.
    command.args(["--test-workspace", "true", "--features", "tinysam/webgpu"]);
    command.args(["--cargo-arg=--config", "--cargo-arg=profile.dev.package.tinysam.opt-level=1"]);
    // For the compiler, too: no other tests are built.
    command.args(["--cargo-arg=--lib", "--cargo-arg=--test=checkpoint"]);
    command.args(["--", "--", "--skip", "model::", "--skip", "image::"]);
    shell::say("sources are changed where they lie, and put back: leave them alone until this ends");
    let status = command.status().context("cargo-mutants does not start")?;
    // 2 says that changes were missed, and 3 that some took too long: an answer, both.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants ended with {status}");
    Ok(())
}

fn mutants(options: &Options) -> Command {
    let mut command = shell::cargo();
    command.args(["mutants", "--package", "tinysam"]);
    for folder in FOLDERS {
        command.arg("--file").arg(format!("src/{folder}/**/*{}*", options.file));
    }
    command
}
