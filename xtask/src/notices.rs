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
    ensure!(works.len() > 50, "only {} libraries were found: cargo's metadata has changed", works.len());
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
            found.push((name, text.trim().to_owned()));
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
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for what is linked in; else of builds and of tests.
    kind: Option<String>,
}

/// The crates that are linked into either module.
fn crates() -> Result<Vec<Work>> {
    let arguments = ["metadata", "--format-version", "1", "--filter-platform", "wasm32-unknown-unknown"];
    let features = ["--no-default-features", "--features", "cpu,webgpu"];
    let json = shell::output(shell::cargo().args(arguments).args(features))?;
    let metadata: Metadata = serde_json::from_str(&json).context("cargo's metadata cannot be read")?;
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let linked = linked(&metadata.resolve, |id| {
        // A macro runs in the compiler.
        packages.get(id).is_some_and(|p| p.targets.iter().all(|t| t.kind.iter().all(|kind| kind != "proc-macro")))
    });
    let mut works = Vec::new();
    for package in linked.iter().filter_map(|id| packages.get(id)).filter(|package| package.source.is_some()) {
        let folder = Path::new(&package.manifest_path).parent().context("a manifest lies in a folder")?;
        works.push(Work {
            name: format!("{} {}", package.name, package.version),
            licence: package.license.clone().unwrap_or_else(|| "see below".to_owned()),
            texts: texts(folder)?,
        });
    }
    Ok(works)
}

/// What the root depends on, directly or not, other than for building and testing.
fn linked(resolve: &Resolve, counts: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let nodes: BTreeMap<&str, &Node> = resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen = BTreeSet::new();
    let mut next = vec![resolve.root.as_str()];
    while let Some(id) = next.pop() {
        if !counts(id) || !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).map_or(&[][..], |node| &node.deps);
        let linked =
            dependencies.iter().filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        next.extend(linked.map(|dependency| dependency.pkg.as_str()));
    }
    seen
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
    next.push("tslib".to_owned());
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
    fn only_what_is_linked_counts() {
        let resolve: Resolve = serde_json::from_str(
            r#"{ "root": "own", "nodes": [
                { "id": "own", "deps": [
                    { "pkg": "linked", "dep_kinds": [{ "kind": null }, { "kind": "dev" }] },
                    { "pkg": "test", "dep_kinds": [{ "kind": "dev" }] },
                    { "pkg": "macro", "dep_kinds": [{ "kind": null }] } ] },
                { "id": "linked", "deps": [{ "pkg": "deep", "dep_kinds": [{ "kind": null }] }] },
                { "id": "macro", "deps": [{ "pkg": "compiler", "dep_kinds": [{ "kind": null }] }] } ] }"#,
        )
        .unwrap();
        let found = linked(&resolve, |id| id != "macro");
        assert_eq!(Vec::from_iter(found), ["deep", "linked", "own"]);
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
