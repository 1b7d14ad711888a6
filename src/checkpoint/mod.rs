//! A file's bytes → named tensors.
//!
//! | format | told by | tensors | packing |
//! |---|---|---|---|
//! | `.pth`, `.pt`: `torch.save` of a flat state dict, PyTorch ≥ 1.6 | zip magic | float32, float16, bfloat16; int64 counters; any strides, shared storages; the device they were saved from is ignored | stored or deflated |
//! | `.safetensors` | JSON after the first 8 bytes | float32, float16, bfloat16; int8 with scales; int64 counters | none |
//!
//! A `.pth` holds a pickle, which to PyTorch is a program. Here it is data: a small reader knows the few opcodes and
//! names that a state dict needs and refuses all others by name; nothing is ever executed.
//!
//! Every tensor of a file is accounted for against [the manifest](manifest): missing, unknown and mis-shaped ones are
//! errors that name them. The names must be the official ones: neither prefixes nor a dict around the dict are looked
//! through. Values must be finite.
//!
//! Nothing in a file can make the reader panic, loop or take memory that its bytes do not justify. Refused are:
//!
//! | | more than |
//! |---|---|
//! | the file, and what it unpacks to | 256 MiB each |
//! | a zip's directory, its pickle, a `.safetensors` header | 1 MiB each |
//! | tensors; axes of one; elements of one; bytes of its name | 4096; 8; 64 Mi; 256 |
//!
//! Zip entries are checked against their CRC. A `.safetensors` has no checksum, so that only a known SHA-256 tells of a
//! flipped bit in its weights.

mod archive;
mod convert;
pub mod limits;
pub mod manifest;
mod pickle;
mod pth;
mod safetensors;
mod tensor_file;

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

pub use convert::Precision;
pub use tensor_file::{Dtype, TensorFile};

use crate::{Error, Result};

/// A checkpoint of TinySAM or MobileSAM: its bytes, with every one of its tensors accounted for.
///
/// Keeps the bytes once and converts a tensor when it is asked for; drop it when the network is built.
#[derive(Debug)]
pub struct Checkpoint {
    file: TensorFile,
    sha256: OnceLock<String>,
}

impl Checkpoint {
    /// Reads a `.pth` or a `.safetensors`; which of the two it is, the content tells.
    ///
    /// # Errors
    /// [`Error::CheckpointInvalid`] if the bytes are no such file, or a damaged or hostile one;
    /// [`Error::CheckpointMismatch`] if they are one of another network.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let file = TensorFile::from_bytes(bytes)?;
        manifest::check(&file)?;
        Ok(Self { file, sha256: OnceLock::new() })
    }

    /// The values of the tensor `name`, row-major, as f32.
    ///
    /// # Errors
    /// [`Error::CheckpointMismatch`] if it is absent, of another shape or a counter;
    /// [`Error::CheckpointInvalid`] if a value is infinite or not a number.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if let Some((_, found)) = self.file.info(name)
            && found != shape
        {
            return Err(Error::CheckpointMismatch(format!("tensor {name:?} has shape {found:?}, {shape:?} is needed")));
        }
        self.file.values(name)
    }

    /// SHA-256 of the whole file, in lower-case hex. Computed when first asked for.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| sha256_hex(self.file.bytes()))
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
