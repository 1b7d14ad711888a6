//! `cargo xtask test`: every test there is, and nothing that can be skipped.

use std::time::Instant;

use anyhow::{Result, bail};
use tinysam_golden::fixture;

use crate::bench::{PICTURE, WEIGHTS};
use crate::inputs::{Picture, Weights};
use crate::modules::Module;
use crate::verify::On;
use crate::{chrome, gpu, modules, npm, pack, shell, tools, verify};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 16] = [
    ("formatting", formatting),
    ("clippy, native", clippy_native),
    ("clippy, wasm", clippy_wasm),
    ("tests, native, and kernels on a GPU", native),
    ("package build", modules::package),
    ("calls and kernels of WebGPU, counted", gpu::counted::run),
    ("fal's protocol", fal),
    ("bindings in the browser", bindings),
    ("golden in the browser, CPU", browser_cpu),
    ("golden in the browser, WebGPU", browser_webgpu),
    ("trained weights in the browser, CPU", trained_cpu),
    ("everything in the browser, CPU", everything_cpu),
    ("everything in the browser, WebGPU", everything_webgpu),
    ("types", types),
    ("tarball", || pack::run().map(drop)),
    ("package in the browser", package),
];

pub fn run() -> Result<()> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        shell::say(&format!("\n== {name}"));
        let start = Instant::now();
        let result = step();
        if let Err(error) = &result {
            shell::say(&format!("error: {error:#}"));
        }
        results.push((name, start.elapsed(), result.is_ok()));
    }
    println!();
    for (name, time, passed) in &results {
        let verdict = if *passed { "passed" } else { "FAILED" };
        println!("{verdict}  {:>7.1} s  {name}", time.as_secs_f64());
    }
    let failed = results.iter().filter(|(_, _, passed)| !passed).count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        bail!("not all tests passed");
    }
    Ok(())
}

fn formatting() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_native() -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(shell::cargo().args(clippy))
}

fn clippy_wasm() -> Result<()> {
    tools::wasm_target()?;
    for module in [Module::Cpu, Module::WebGpu] {
        let clippy = ["clippy", "-p", "tinysam", "--lib", "--target", "wasm32-unknown-unknown"];
        let features = ["--no-default-features", "-F", module.name(), "--", "-D", "warnings"];
        shell::run(shell::cargo().args(clippy).args(features))?;
    }
    Ok(())
}

/// With both backends in one build: each operation on the machine's GPU with every way to cut products, against what it
/// means; on Chromium's software driver where that is.
fn native() -> Result<()> {
    tools::vulkan_loader()?;
    let mut test = shell::cargo();
    test.args(["test", "--workspace", "--features", "tinysam/webgpu"]);
    if let Some(driver) = chrome::software_gpu()? {
        test.env("VK_DRIVER_FILES", driver);
    }
    shell::run(&mut test)
}

/// The router, the queue and the fallback under Node, against a stand-in for fal.
fn fal() -> Result<()> {
    shell::run(npm::npm("tests/fal").arg("test"))
}

/// wasm-bindgen's tests of the CPU module in headless Chrome; the browser's flags are in webdriver.json.
fn bindings() -> Result<()> {
    tools::wasm_target()?;
    let runner = tools::wasm_bindgen()?.join("wasm-bindgen-test-runner");
    let mut cargo = shell::cargo();
    cargo.arg("test").args(Module::Cpu.cargo_arguments()).args(["--test", "web", "--test", "web_page"]);
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    cargo.env("CHROMEDRIVER", chrome::driver()?).env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", chrome::webdriver()?);
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "600");
    shell::run(&mut cargo)
}

fn browser_cpu() -> Result<()> {
    golden(WEIGHTS, PICTURE, "golden_1024_synth", On::BrowserCpu)
}

fn browser_webgpu() -> Result<()> {
    golden(WEIGHTS, PICTURE, "golden_256_synth", On::BrowserWebgpu)
}

/// The project's own checkpoint on a photo, against the project's own PyTorch model.
fn trained_cpu() -> Result<()> {
    let photo = Picture::File(fixture("photos/coffee.png"));
    golden(Weights::of_the_page(), photo, "golden_256_coffee_photos", On::BrowserCpu)
}

fn everything_cpu() -> Result<()> {
    golden(WEIGHTS, PICTURE, "everything_256_synth", On::BrowserCpu)
}

fn everything_webgpu() -> Result<()> {
    golden(WEIGHTS, PICTURE, "everything_256_synth", On::BrowserWebgpu)
}

fn golden(checkpoint: Weights, image: Picture, name: &str, on: On) -> Result<()> {
    verify::run(&verify::Options { checkpoint, image, golden: fixture(&format!("goldens/{name}.json")), on })
}

fn types() -> Result<()> {
    npm::install("pkg")?;
    npm::install("www")?;
    npm::install("tests/browser")?;
    shell::run(npm::npm("pkg").args(["run", "check"]))?;
    shell::run(npm::npm("www").args(["run", "build"]))?;
    shell::run(npm::npm("tests/browser").args(["run", "check"]))?;
    shell::run(npm::npm("tests/fal").args(["run", "check"]))
}

/// Playwright on the package as it is installed from the tarball, in every browser.
fn package() -> Result<()> {
    npm::install("tests/browser")?;
    let weights = Weights::Formula(0).file()?;
    let mut test = npm::npm("tests/browser");
    test.arg("test").env("CHROME", chrome::browser()?).envs(chrome::others()?).env("TINYSAM_FORMULA", weights);
    shell::run(&mut test)
}
