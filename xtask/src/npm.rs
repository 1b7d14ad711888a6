//! npm packages of this repository.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, tools};

/// What a script that npm brings is called: on Windows it is no program, and its name must be whole.
fn script(name: &str) -> String {
    if cfg!(windows) { format!("{name}.cmd") } else { name.to_owned() }
}

/// npm in a folder of the repository.
pub fn npm(folder: &str) -> Command {
    let mut command = shell::command(script("npm"));
    command.current_dir(shell::root().join(folder));
    command
}

/// Installs what the folder's lock file says, unless that is what is installed.
pub fn install(folder: &str) -> Result<()> {
    tools::node()?;
    let path = shell::root().join(folder);
    let lock = shell::sha256(&path.join("package-lock.json"))?;
    let stamp = path.join("node_modules/.lock-sha256");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::say(&format!("npm packages of {folder}"));
    shell::run(npm(folder).args(["ci", "--no-audit", "--no-fund"]))?;
    std::fs::create_dir_all(path.join("node_modules"))?;
    std::fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// A program that a folder's packages brought.
pub fn bin(folder: &str, name: &str) -> Command {
    let path = Path::new(folder).join("node_modules/.bin").join(script(name));
    shell::command(shell::root().join(path))
}
