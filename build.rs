//! Compiles the CPU's inner loops once more, for browsers that have relaxed SIMD: `src/model/ops/cpu/relaxed` says why. It
//! takes a second, and happens for the CPU module alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const SOURCE: &str = "src/model/ops/cpu/relaxed/module.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=src/model/ops/cpu/kernel.rs");
    let wasm = env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm");
    if !wasm || env::var_os("CARGO_FEATURE_CPU").is_none() {
        return;
    }
    let module = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where")).join("relaxed.wasm");
    compile(&module);
    check(&fs::read(&module).expect("rustc wrote it"));
    // The module's function is put into the table of this crate's.
    println!("cargo::rustc-link-arg=--growable-table");
}

fn compile(module: &Path) {
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo says which"));
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"]);
    for option in [
        "opt-level=3",
        "lto=fat",
        "codegen-units=1",
        "panic=abort",
        "strip=symbols",
        "target-feature=+simd128,+relaxed-simd",
        "link-arg=--import-memory",
    ] {
        rustc.args(["-C", option]);
    }
    let status = rustc.arg(SOURCE).arg("-o").arg(module).status().expect("rustc runs");
    assert!(status.success(), "rustc cannot compile {SOURCE}");
}

/// The module computes in the memory of another, whose stack and data it knows nothing of: it may have neither of its own.
fn check(module: &[u8]) {
    const DATA: u8 = 11;
    const CODE: u8 = 10;
    /// `global.get 0`, `i32.const`: how a function that wants a stack begins.
    const PROLOGUE: [u8; 3] = [0x23, 0, 0x41];
    let mut rest = &module[8..];
    while let [section, length @ ..] = rest {
        let (size, content) = number(length);
        let (content, after) = content.split_at(size);
        assert_ne!(*section, DATA, "{SOURCE} has data");
        let stack = *section == CODE && content.windows(PROLOGUE.len()).any(|bytes| bytes == PROLOGUE);
        assert!(!stack, "{SOURCE} needs a stack");
        rest = after;
    }
}

/// An unsigned LEB128, and what follows it.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let length = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number ends");
    let (digits, rest) = bytes.split_at(length);
    (digits.iter().rev().fold(0, |number, byte| number << 7 | (byte & 0x7f) as usize), rest)
}
