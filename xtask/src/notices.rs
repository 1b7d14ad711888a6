//! The licences of what others wrote and the package carries: the crates in the WebAssembly modules, and the npm
//! packages in the bundle. Most of these licences ask for their text to stay with every copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::shell;

/// In the package's folder.
pub const FILE: &str = "THIRD-PARTY-LICENSES.txt";

/// A library, and the texts of its licence.
#[derive(Debug)]
struct Work {
    name: String,
    licence: String,
    texts: Vec<String>,
}

/// Writes [`FILE`].
pub fn write() -> Result<()> {
    let mut works = crates()?;
    works.extend(npm()?);
    ensure!(works.len() > 50, "only {} libraries were found: has cargo changed what it prints?", works.len());
    fs::write(shell::root().join("pkg").join(FILE), told(&works)).with_context(|| format!("cannot write {FILE}"))
}

/// Each text once, after the names of those that it is of.
fn told(works: &[Work]) -> String {
    let mut by_text: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for work in works {
        for text in &work.texts {
            by_text.entry(text).or_default().insert(format!("{} ({})", work.name, work.licence));
        }
    }
    let bare = works.iter().filter(|work| work.texts.is_empty());
    let bare: BTreeSet<String> = bare.map(|work| format!("{} ({})", work.name, work.licence)).collect();
    let mut out = String::from("tinysam carries the following libraries, under the licences below.\n");
    let rule = "=".repeat(80);
    for (text, names) in by_text {
        let names = Vec::from_iter(names).join("\n");
        let _ = write!(out, "\n{rule}\n{names}\n\n{text}\n");
    }
    if !bare.is_empty() {
        let names = Vec::from_iter(bare).join("\n");
        let _ = write!(out, "\n{rule}\n{names}\n\nThese state their licence by name alone.\n");
    }
    out
}

/// Of a folder, the texts of its licences: MIT's alone, where there is a choice that includes it.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot look into {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let starts = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
        if entry.file_type()?.is_file() && starts.iter().any(|start| name.starts_with(start)) {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n");
            // A link that was packed as a file holds the path it leads to.
            if text.lines().count() > 1 {
                found.push((name, text.trim().to_owned()));
            }
        }
    }
    found.sort();
    if let Some(mit) = found.iter().find(|(name, _)| name.contains("mit")) {
        return Ok(vec![mit.1.clone()]);
    }
    Ok(found.into_iter().map(|(_, text)| text).collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
    /// `None` for what lies in this repository.
    source: Option<String>,
}

/// The crates that are linked into either module: `cargo tree` knows which, and `cargo metadata` where they lie.
fn crates() -> Result<Vec<Work>> {
    let module = ["--no-default-features", "--features", "cpu,webgpu"];
    let listed = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
    let mut tree = shell::cargo();
    tree.args(["tree", "--package", "tinysam", "--target", "wasm32-unknown-unknown"]).args(module).args(listed);
    let linked = shell::output(&mut tree)?;
    let linked: BTreeSet<String> = linked.lines().filter_map(listed_name).collect();
    let json = shell::output(shell::cargo().args(["metadata", "--format-version", "1"]).args(module))?;
    let metadata: Metadata = serde_json::from_str(&json).context("cargo's metadata cannot be read")?;
    let mut works = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let name = format!("{} {}", package.name, package.version);
        if linked.contains(&name) {
            let folder = Path::new(&package.manifest_path).parent().context("a manifest lies in a folder")?;
            let licence = package.license.clone().unwrap_or_else(|| "see below".to_owned());
            works.push(Work { name, licence, texts: texts(folder)? });
        }
    }
    Ok(works)
}

/// `name v1.2.3 (where)` → `name 1.2.3`.
fn listed_name(line: &str) -> Option<String> {
    let (name, rest) = line.split_once(" v")?;
    Some(format!("{name} {}", rest.split(' ').next()?))
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

/// The npm packages that the bundle is made of: the package's dependencies, theirs, and TypeScript's helpers.
fn npm() -> Result<Vec<Work>> {
    let modules = shell::root().join("pkg/node_modules");
    let read = |path: &Path| -> Result<Manifest> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no manifest", path.display()))
    };
    let own = read(&shell::root().join("pkg/package.json"))?;
    let mut next: Vec<String> = own.dependencies.into_keys().collect();
    let (mut seen, mut works) = (BTreeSet::new(), Vec::new());
    while let Some(name) = next.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let folder = modules.join(&name);
        let manifest = read(&folder.join("package.json"))?;
        next.extend(manifest.dependencies.into_keys());
        let name = format!("{} {}", manifest.name, manifest.version);
        works.push(Work { name, licence: manifest.license, texts: texts(&folder)? });
    }
    Ok(works)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_tree() {
        assert_eq!(listed_name("burn v0.22.1").as_deref(), Some("burn 0.22.1"));
        assert_eq!(listed_name("own v0.1.0 (/somewhere) (*)").as_deref(), Some("own 0.1.0"));
        assert_eq!(listed_name(""), None);
    }

    #[test]
    fn a_text_stands_once() {
        let work = |name: &str, texts: &[&str]| Work {
            name: name.into(),
            licence: "MIT".into(),
            texts: texts.iter().map(|text| text.to_string()).collect(),
        };
        let told = told(&[work("b 1", &["the text"]), work("a 2", &["the text"]), work("c 3", &[])]);
        assert_eq!(told.matches("the text").count(), 1);
        assert!(told.contains("a 2 (MIT)\nb 1 (MIT)\n\nthe text"), "{told}");
        assert!(told.contains("c 3 (MIT)\n\nThese state"), "{told}");
    }
}
