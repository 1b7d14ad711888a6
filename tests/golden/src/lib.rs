//! What the reference computes, and what is needed to compute it again anywhere: the checkpoint and the
//! picture that are made by formula ([`formula`], [`synth`]), the recorded numbers ([`golden`],
//! [`everything`]) and the comparison against them ([`compare`]).
//!
//! Nothing but [`engine`], which is a feature, knows burn or the network, so that every test and tool can use it, in a
//! browser too.

pub mod compare;
#[cfg(feature = "engine")]
pub mod engine;
pub mod everything;
pub mod formula;
pub mod golden;
pub mod limits;
pub mod mix;
mod ordered;
pub mod report;
pub mod synth;

pub use compare::Comparer;
pub use everything::Everything;
pub use golden::Golden;
pub use limits::Device;
pub use report::Report;

use std::path::PathBuf;

/// A file of `tests/fixtures`, wherever the repository lies.
pub fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(path)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
