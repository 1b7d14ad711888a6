//! A file's bytes → named tensors.
//!
//! | format | told by | tensors | packing |
//! |---|---|---|---|
//! | `.pth`, `.pt`, `.bin`, `.ckpt`: `torch.save` of a dict, PyTorch ≥ 1.6 | zip magic | float64, float32, float16, bfloat16; int64 counters; any strides, shared storages; the device they were saved from is ignored | stored or deflated |
//! | `.safetensors` | JSON after the first 8 bytes | the same; int8 with scales | none |
//!
//! What a file is called does not matter. A `.pth` holds a pickle, which to PyTorch is a program. Here it is data: a
//! small reader knows the opcodes and names of tensors, of dicts and of the plain values beside them, and refuses a
//! call of anything else by name; nothing is ever executed.
//!
//! The network may be wrapped: in a dict beside an optimiser's state, its names behind a module's. Every
//! tensor of its dict is accounted for against [the manifest](manifest): missing, unknown and mis-shaped ones are
//! errors that name them. Values must be finite.
//!
//! Nothing in a file can make the reader panic, loop or take memory that its bytes do not justify. Refused are:
//!
//! | | more than |
//! |---|---|
//! | the file, and what it unpacks to | 256 MiB each |
//! | a zip's directory, a `.safetensors` header; a pickle | 1 MiB each; 2 MiB |
//! | tensors; axes of one; elements of one; bytes of its name | 4096; 8; 64 Mi; 256 |
//! | elements of a tensor that repeats its storage's | 1 Mi |
//!
//! Zip entries are checked against their CRC. A `.safetensors` has no checksum, so that only a known SHA-256 tells of a
//! flipped bit in its weights.

mod convert;
mod int8;
pub mod limits;
pub mod manifest;
mod pth;
mod safetensors;
mod tensor;
mod tensor_file;
mod wrapping;

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

pub use convert::Precision;
pub use tensor::Dtype;
pub use tensor_file::{Format, TensorFile};

use crate::{Error, Result};

/// A checkpoint of TinySAM or MobileSAM: its bytes, with every tensor of the network accounted for.
///
/// Keeps the bytes once and converts a tensor when it is asked for; drop it when the network is built.
#[derive(Debug)]
pub struct Checkpoint {
    file: TensorFile,
    /// What the file has before the names of the network's tensors.
    prefix: String,
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
        let prefix = wrapping::prefix(&file)?;
        Ok(Self { file, prefix, sha256: OnceLock::new() })
    }

    /// What the file has before the names of the network's tensors: `model.` if they are in a dict of that name beside
    /// an optimiser's state, `module.` if they were saved from a wrapper of that name; empty if it has nothing.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The values of the tensor `name`, row-major, as f32.
    ///
    /// # Errors
    /// [`Error::CheckpointMismatch`] if it is absent, of another shape, no weight, or int8 whose scale does not fit;
    /// [`Error::CheckpointInvalid`] if a value is infinite or not a number.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = &format!("{}{name}", self.prefix);
        if let Some((_, found)) = self.file.info(name)
            && found != shape
        {
            return Err(Error::CheckpointMismatch(format!("tensor {name:?} has shape {found:?}, {shape:?} is needed")));
        }
        self.file.values(name)
    }

    /// The same, with the SHA-256 that its file is known to have: a browser computes that faster.
    #[cfg(target_family = "wasm")]
    pub(crate) fn with_sha256(self, sha256: String) -> Self {
        Self { sha256: sha256.into(), ..self }
    }

    /// SHA-256 of the whole file, in lower-case hex. Computed when first asked for.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| sha256_hex(self.file.bytes()))
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A digest in lower-case hex.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
