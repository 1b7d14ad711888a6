//! What is refused before anything is allocated for it. TinySAM's own files need a sixth of the room at most.

use super::tensor::{element_count, invalid};
use crate::Result;

/// Bytes of a file (the official ones have 41 million).
pub const FILE: usize = 256 << 20;
/// Bytes of all entries of a zip that are read, unpacked, together.
pub const UNPACKED: u64 = 256 << 20;
/// Bytes of a zip's central directory or of a `.safetensors` header (theirs: 35 and 50 thousand).
pub const HEADER: usize = 1 << 20;
/// Bytes of a pickle (theirs: 70 thousand). Training scripts put their losses beside, nine bytes each.
pub const PICKLE: usize = 2 << 20;
/// Tensors in a file (439).
pub const TENSORS: usize = 4096;
/// Elements of one tensor (590 000).
pub const ELEMENTS: usize = 64 << 20;
/// Elements of a tensor that has more of them than its storage, by strides of 0 (as its largest tensor).
pub const REPEATED: usize = 1 << 20;
/// Axes of a tensor (4).
pub const AXES: usize = 8;
/// Bytes of a tensor's name, with those of the dicts that it is in (72).
pub const NAME: usize = 256;
/// Dicts within dicts that are looked through (the official file is one dict; training scripts put it into another).
pub const DEPTH: usize = 4;

/// Refuses a name that no tensor of ours could have.
pub(super) fn check_name(name: &str) -> Result<()> {
    match name.len() {
        0..=NAME => Ok(()),
        length => Err(invalid(format!("a tensor's name has {length} bytes, at most {NAME} are read"))),
    }
}

/// Refuses a name or shape that no tensor of ours could have.
pub(super) fn check_tensor(name: &str, shape: &[usize]) -> Result<()> {
    check_name(name)?;
    if shape.len() > AXES {
        return Err(invalid(format!("tensor {name:?} has {} axes, at most {AXES} are read", shape.len())));
    }
    match element_count(shape) {
        Some(count) if count <= ELEMENTS => Ok(()),
        _ => Err(invalid(format!("tensor {name:?} of shape {shape:?} has more than {ELEMENTS} elements"))),
    }
}
