//! Assembles the CPU's inner loops in relaxed SIMD: `src/model/ops/cpu/relaxed` says why they are a module of their own.

use std::path::PathBuf;
use std::{env, fs};

const SOURCE: &str = "src/model/ops/cpu/relaxed/loops.wat";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let wasm = env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm");
    if !wasm || env::var_os("CARGO_FEATURE_CPU").is_none() {
        return;
    }
    let module = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where")).join("relaxed.wasm");
    let assembled = wat::parse_file(SOURCE).unwrap_or_else(|error| panic!("{error}"));
    fs::write(module, assembled).expect("cargo's folder can be written");
    // The module's functions are put into the table of this crate's.
    println!("cargo::rustc-link-arg=--growable-table");
}
