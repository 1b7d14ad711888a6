//! `cargo xtask docs`: the page as it is published, with the API reference of both languages beside it.

use anyhow::Result;

use crate::{demo, npm, project, shell};

/// The folder in the built page.
const REFERENCE: &str = "www/dist/reference";

pub fn run() -> Result<()> {
    // The page's build empties its folder first.
    demo::build()?;
    typescript()?;
    rust()?;
    shell::say(&format!("{REFERENCE}/typescript/index.html, {REFERENCE}/rust/tinysam/index.html"));
    Ok(())
}

/// What the package exports, from its sources.
fn typescript() -> Result<()> {
    npm::install("tests/package")?;
    let source = format!("{}/blob/{{gitRevision}}/{{path}}#L{{line}}", project::REPOSITORY);
    let mut typedoc = npm::bin("tests/package", "typedoc");
    typedoc.args(["--entryPoints", "pkg/src/index.ts", "--tsconfig", "pkg/tsconfig.json", "--name", "tinysam"]);
    typedoc.args(["--readme", "none", "--excludeInternal", "--gitRevision", concat!("v", env!("CARGO_PKG_VERSION"))]);
    typedoc.args(["--sourceLinkTemplate", &source]).arg("--out").arg(shell::root().join(REFERENCE).join("typescript"));
    shell::run(&mut typedoc)
}

/// The crate as native programs see it.
fn rust() -> Result<()> {
    let mut doc = shell::cargo();
    doc.args(["doc", "--package", "tinysam", "--lib", "--no-deps"]);
    shell::run(&mut doc)?;
    shell::copy_folder(&shell::target().join("doc"), &shell::root().join(REFERENCE).join("rust"))
}
