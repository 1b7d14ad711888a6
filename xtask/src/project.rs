//! What is said of the project as a whole: its address, and the README where that address is not around it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::shell;

/// Where the repository is: set in the root's Cargo.toml alone.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Writes the README as npm's site needs it: with links and pictures that lead to this version in the repository.
pub fn write_readme(to: &Path) -> Result<()> {
    let from = shell::root().join("README.md");
    let text = fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    fs::write(to, anchored(&text, version)).with_context(|| format!("cannot write {}", to.display()))
}

/// A Markdown text whose relative links and pictures lead to a tag of the repository.
fn anchored(text: &str, tag: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    for Link { start, path, picture } in links(text) {
        let done = text.len() - rest.len();
        out.push_str(&text[done..start]);
        let kind = if picture { "raw" } else { "blob" };
        out.push_str(&format!("{REPOSITORY}/{kind}/{tag}/"));
        rest = &text[start..];
        debug_assert!(rest.starts_with(path));
    }
    out + rest
}

/// A relative link of a Markdown text.
struct Link<'a> {
    /// Of the path, in bytes of the text.
    start: usize,
    path: &'a str,
    /// Whether it is shown in its place.
    picture: bool,
}

/// The relative links of a Markdown text, but those in its code.
fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let (mut code, mut line_start) = (false, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("```") {
            code = !code;
        }
        for (at, _) in line.match_indices("](").filter(|_| !code) {
            let path = &line[at + 2..];
            let path = path.split(')').next().unwrap_or(path);
            let elsewhere = ["https://", "http://", "mailto:", "#"].iter().any(|start| path.starts_with(start));
            if !elsewhere {
                let picture = line[..at].rfind('[').is_some_and(|open| line[..open].ends_with('!'));
                found.push(Link { start: line_start + at + 2, path, picture });
            }
        }
        line_start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use serde_json::Value;

    use super::*;

    const DOCUMENTS: [&str; 9] = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "examples/README.md",
        "training/README.md",
        "tests/fixtures/goldens/README.md",
        "www/public/models/README.md",
    ];

    fn read(path: &str) -> String {
        fs::read_to_string(shell::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn relative_links_lead_to_the_tag() {
        let text = "![a](b.png) and [c](d/e.md), [f](https://g) [h](#i)\n```\n[j](k)\n```\n[l](m)";
        let expected = format!(
            "![a]({REPOSITORY}/raw/v1/b.png) and [c]({REPOSITORY}/blob/v1/d/e.md), [f](https://g) [h](#i)\n\
             ```\n[j](k)\n```\n[l]({REPOSITORY}/blob/v1/m)"
        );
        assert_eq!(anchored(text, "v1"), expected);
    }

    #[test]
    fn links_lead_to_files() {
        for document in DOCUMENTS {
            let text = read(document);
            let path = shell::root().join(document);
            let folder = path.parent().unwrap();
            for Link { path, .. } in links(&text) {
                let path = path.split('#').next().unwrap();
                assert!(folder.join(path).exists(), "{document} links to {path}");
            }
        }
    }

    /// What documents name as code: paths in the repository's folders exist, and `cargo xtask`'s verbs are verbs.
    #[test]
    fn named_paths_and_commands_exist() {
        const FOLDERS: [&str; 10] =
            [".cargo", ".ci", ".github", "fuzz", "pkg", "src", "tests", "training", "www", "xtask"];
        // Built or downloaded, so not there in a fresh clone.
        const MADE: [&str; 5] = ["fuzz/artifacts", "pkg/dist", "pkg/README.md", "pkg/node_modules", "www/dist"];
        let known = crate::Arguments::command();
        let verbs: Vec<&str> = known.get_subcommands().map(clap::Command::get_name).collect();
        for document in DOCUMENTS.iter().filter(|path| !path.contains('/')) {
            let text = read(document);
            for (at, words) in text.match_indices("cargo xtask ") {
                let verb = text[at + words.len()..].split(|end: char| !end.is_ascii_lowercase() && end != '-').next();
                let verb = verb.unwrap_or_default();
                assert!(
                    verb.is_empty() || verb == "--help" || verbs.contains(&verb),
                    "{document}: cargo xtask has no {verb}"
                );
            }
            for name in text.split('`').skip(1).step_by(2) {
                let inside =
                    FOLDERS.iter().any(|folder| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
                let plain = !name.contains(['{', '*', ' ', '<', '…']);
                if inside && plain && !MADE.iter().any(|made| name.starts_with(made)) {
                    assert!(shell::root().join(name).exists(), "{document} names {name}");
                }
            }
        }
    }

    #[test]
    fn the_packages_manifest_agrees_with_cargos() {
        let manifest: Value = serde_json::from_str(&read("pkg/package.json")).unwrap();
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest["license"], env!("CARGO_PKG_LICENSE"));
        assert_eq!(manifest["repository"]["url"], format!("git+{REPOSITORY}.git"));
        assert_eq!(manifest["repository"]["directory"], "pkg");
        assert_eq!(manifest["homepage"], format!("{REPOSITORY}#readme"));
        assert_eq!(manifest["bugs"]["url"], format!("{REPOSITORY}/issues"));
    }
}
