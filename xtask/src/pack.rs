//! `cargo xtask pack`: the npm tarball, and whether it holds what it must and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::modules::Module;
use crate::{bench, modules, notices, npm, project, shell};

/// Files of the package that are made of those at the root.
const FROM_ROOT: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The most that a page may have to download of each module, gzipped.
const BUDGETS: [(Module, u64); 2] = [(Module::Cpu, 700_000), (Module::WebGpu, 1_900_000)];

/// What `npm pack --json` tells.
#[derive(Deserialize)]
struct Packed {
    filename: String,
    size: u64,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    size: u64,
}

/// Makes the tarball and returns where it lies.
pub fn run() -> Result<PathBuf> {
    modules::package()?;
    let package = shell::root().join("pkg");
    let [readme, licences @ ..] = FROM_ROOT;
    project::write_readme(&package.join(readme))?;
    for name in licences {
        let from = shell::root().join(name);
        fs::copy(&from, package.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    notices::write()?;
    let json = shell::output(npm::npm("pkg").args(["pack", "--json"]))?;
    let packed = packed(&json)?;
    let manifest: Value = serde_json::from_slice(&fs::read(package.join("package.json"))?)?;
    let faults = faults(&manifest, &packed);
    for File { path, size } in &packed.files {
        println!("{size:>10}  {path}");
    }
    println!("{:>10}  {} as a whole, compressed", packed.size, packed.filename);
    ensure!(faults.is_empty(), "the tarball is wrong:\n{}", faults.join("\n"));
    budgets()?;
    let tarball = package.join(packed.filename);
    judge(&tarball)?;
    Ok(tarball)
}

/// npm prints a list, or since version 12 an object by package name.
fn packed(json: &str) -> Result<Packed> {
    let value: Value = serde_json::from_str(json).context("npm pack printed no JSON")?;
    let first = match &value {
        Value::Array(list) => list.first(),
        Value::Object(named) => named.values().next(),
        _ => None,
    };
    let first = first.context("npm pack packed nothing")?;
    Ok(Packed::deserialize(first)?)
}

/// What is missing from the tarball, and what has no place in it.
fn faults(manifest: &Value, packed: &Packed) -> Vec<String> {
    let mut required: Vec<String> = FROM_ROOT.iter().map(|&name| name.to_owned()).collect();
    required.extend(["package.json".to_owned(), notices::FILE.to_owned()]);
    targets(&manifest["exports"], &mut required);
    for (module, _) in BUDGETS {
        let name = module.name();
        required.push(format!("dist/{name}.js"));
        required.push(format!("dist/{name}/tinysam.d.ts"));
        required.push(format!("dist/worker-{name}.js"));
        required.push(format!("dist/tinysam-{name}.wasm"));
    }
    required.sort();
    required.dedup();
    let holds = |path: &str| packed.files.iter().any(|file| file.path == path && file.size > 0);
    let missing = required.iter().filter(|path| !holds(path)).map(|path| format!("missing: {path}"));
    let belongs = |path: &str| {
        let built = [".js", ".js.map", ".d.ts"].iter().any(|ending| path.ends_with(ending));
        required.iter().any(|known| known == path) || (path.starts_with("dist/") && built)
    };
    let foreign = packed.files.iter().filter(|file| !belongs(&file.path));
    missing.chain(foreign.map(|file| format!("has no place there: {}", file.path))).collect()
}

/// The files that an `exports` entry points at, however deep.
fn targets(exports: &Value, into: &mut Vec<String>) {
    match exports {
        Value::String(path) => into.push(path.trim_start_matches("./").to_owned()),
        Value::Object(conditions) => conditions.values().for_each(|inner| targets(inner, into)),
        _ => {}
    }
}

/// Whether bundlers, Node and TypeScript find in it what the manifest promises, by the tools that others judge packages
/// with.
fn judge(tarball: &Path) -> Result<()> {
    npm::install("tests/package")?;
    shell::run(npm::bin("tests/package", "publint").args(["run", "--strict"]).arg(tarball))?;
    let mut types = npm::bin("tests/package", "attw");
    types.args(["--profile", "esm-only", "--format", "table-flipped", "--no-emoji"]);
    // No types are meant to be there: bundlers make addresses of them.
    types.args(["--exclude-entrypoints", "./cpu.wasm", "./webgpu.wasm", "--"]).arg(tarball);
    shell::run(&mut types)
}

fn budgets() -> Result<()> {
    for (module, budget) in BUDGETS {
        let [plain, gzip, brotli] = bench::sizes(&module.folder().join("tinysam_bg.wasm"))?;
        println!("{} module: {plain} bytes, {gzip} gzip, {brotli} brotli", module.name());
        ensure!(gzip <= budget, "the {} module is over its {budget} bytes gzipped", module.name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(extra: &[&str], without: &str) -> Vec<String> {
        let manifest = json!({ "exports": { ".": { "types": "./dist/index.d.ts", "default": "./dist/index.js" } } });
        let mut paths = vec!["README.md", "LICENSE-MIT", "LICENSE-APACHE", "package.json", "THIRD-PARTY-LICENSES.txt"];
        paths.extend(["dist/index.d.ts", "dist/index.js", "dist/chunk.js"]);
        paths.extend(["dist/cpu.js", "dist/cpu/tinysam.d.ts", "dist/worker-cpu.js", "dist/tinysam-cpu.wasm"]);
        paths.extend([
            "dist/webgpu.js",
            "dist/webgpu/tinysam.d.ts",
            "dist/worker-webgpu.js",
            "dist/tinysam-webgpu.wasm",
        ]);
        paths.extend(extra);
        let kept = paths.iter().filter(|&&path| path != without);
        let files = kept.map(|path| File { path: path.to_string(), size: 1 }).collect();
        faults(&manifest, &Packed { filename: String::new(), size: 1, files })
    }

    #[test]
    fn what_a_tarball_must_hold() {
        assert!(with(&[], "").is_empty());
        assert_eq!(with(&[], "LICENSE-MIT"), ["missing: LICENSE-MIT"]);
        assert_eq!(with(&[], "dist/index.js"), ["missing: dist/index.js"]);
        assert_eq!(with(&[], "dist/tinysam-webgpu.wasm"), ["missing: dist/tinysam-webgpu.wasm"]);
    }

    #[test]
    fn what_has_no_place_in_it() {
        // A module that is there twice is emitted twice by some bundlers.
        let second = "dist/cpu/tinysam_bg.wasm";
        for path in ["src/index.ts", "dist/tinysam.pth", ".env", "node_modules/a/index.js", "dist/a.map", second] {
            assert_eq!(with(&[path], ""), [format!("has no place there: {path}")]);
        }
    }

    #[test]
    fn npm_prints_a_list_or_an_object() {
        let entry = r#"{"filename":"a.tgz","size":9,"files":[{"path":"a","size":1}]}"#;
        assert_eq!(packed(&format!("[{entry}]")).unwrap().filename, "a.tgz");
        assert_eq!(packed(&format!(r#"{{"a":{entry}}}"#)).unwrap().filename, "a.tgz");
        assert!(packed("[]").is_err());
    }
}
