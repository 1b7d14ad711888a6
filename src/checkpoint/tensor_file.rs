//! A file of named tensors, of whatever network: the layer between the bytes and TinySAM's own 439 keys.
//!
//! The file's bytes are kept once and as they are; a tensor is a range of them with a type and a shape, and turns
//! into `f32` values when it is asked for.

use std::borrow::Cow;
use std::ops::Bound;

use half::{bf16, f16};

use super::tensor::{Contents, Dtype, Source, View, gather, invalid};
use super::{int8, limits, pth, safetensors};
use crate::{Error, Result};

/// A file of named tensors: a `.pth` written by `torch.save`, or a `.safetensors`.
#[derive(Debug)]
pub struct TensorFile {
    bytes: Vec<u8>,
    contents: Contents,
}

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A zip, as `torch.save` writes.
    Pth,
    /// A `.safetensors`.
    Safetensors,
}

impl Format {
    /// None if it is neither.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"PK\x03\x04") {
            return Some(Format::Pth);
        }
        (bytes.get(8) == Some(&b'{')).then_some(Format::Safetensors)
    }
}

impl TensorFile {
    /// Reads the directory of tensors; which format it is, the first bytes tell.
    ///
    /// # Errors
    /// [`Error::CheckpointInvalid`] for anything but a whole, well-formed file within the [limits].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() > limits::FILE {
            return Err(invalid(format!("it has {} bytes, at most {} are read", bytes.len(), limits::FILE)));
        }
        let contents = match Format::of(&bytes) {
            Some(Format::Pth) => pth::read(&bytes)?,
            Some(Format::Safetensors) => safetensors::read(&bytes)?,
            None => return Err(invalid(describe_stranger(&bytes))),
        };
        Ok(Self { bytes, contents })
    }

    /// The file as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The tensors' names, sorted. A tensor in a dict within the file's dict has the dict's name before its own, and a
    /// dot between: `model.weight`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// The names of the dicts within the file's dict that hold tensors, in the order in which they were saved.
    pub fn dicts(&self) -> impl Iterator<Item = &str> {
        self.contents.dicts.iter().map(String::as_str)
    }

    /// A tensor's element type and shape.
    pub fn info(&self, name: &str) -> Option<(Dtype, &[usize])> {
        let view = self.contents.tensors.get(name)?;
        Some((view.dtype, &view.shape))
    }

    /// The tensors of a dict, or behind a wrapper's name: those whose names begin with `prefix`, which ends in a dot or
    /// is empty. By the rest of their names, in order.
    pub(super) fn under(&self, prefix: &str) -> impl DoubleEndedIterator<Item = (&str, (Dtype, &[usize]))> {
        // What comes after all of them: `/` follows upon the dot.
        let end = prefix.strip_suffix('.').map(|name| format!("{name}/"));
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let named = self.contents.tensors.range::<str, _>((Bound::Included(prefix), end));
        let length = prefix.len();
        named.map(move |(name, view)| (&name[length..], (view.dtype, &view.shape[..])))
    }

    /// A tensor's elements, little-endian and row-major; borrowed where the file holds them so.
    ///
    /// # Errors
    /// [`Error::CheckpointMismatch`] if there is no such tensor.
    pub fn raw(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let view = self.view(name)?;
        let source = match view.source {
            Source::File => Some(&self.bytes),
            Source::Unpacked(index) => self.contents.unpacked.get(index),
        };
        let bytes = source
            .and_then(|bytes| bytes.get(view.range.clone()))
            .ok_or_else(|| Error::Internal(format!("tensor {name:?} lies outside its file")))?;
        match &view.strides {
            None => Ok(Cow::Borrowed(bytes)),
            Some(strides) => gather(bytes, &view.shape, strides, view.dtype.size())
                .map(Cow::Owned)
                .ok_or_else(|| Error::Internal(format!("tensor {name:?} has wrong strides"))),
        }
    }

    /// A tensor's values, row-major.
    ///
    /// # Errors
    /// [`Error::CheckpointMismatch`] if there is no such tensor, if it is of a type that no weight has, or int8 without
    /// a scale that fits; [`Error::CheckpointInvalid`] if one of its values is infinite or not a number, as f32.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let raw = self.raw(name)?;
        let values: Vec<f32> = match self.view(name)?.dtype {
            Dtype::F64 => (raw.as_chunks().0.iter()).map(|b| f64::from_le_bytes(*b) as f32).collect(),
            Dtype::F32 => (raw.as_chunks().0.iter()).map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => (raw.as_chunks().0.iter()).map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => (raw.as_chunks().0.iter()).map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::I8 => self.scaled(name, &raw)?,
            other => {
                return Err(Error::CheckpointMismatch(format!(
                    "tensor {name:?} holds {other}, not floating-point numbers"
                )));
            }
        };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(at) => Err(invalid(format!(
                "element {at} of tensor {name:?} is {}: the file is damaged or its training failed",
                values[at]
            ))),
        }
    }

    /// int8 values times their scales.
    fn scaled(&self, name: &str, raw: &[u8]) -> Result<Vec<f32>> {
        let scale = int8::scale_of(name);
        let (weight, scales) = (self.view(name)?, self.view(&scale)?);
        match int8::scaled_axis(&weight.shape, &scales.shape) {
            Some(axis) if scales.dtype == Dtype::F32 => {
                Ok(int8::unpack(raw, &weight.shape, axis, &self.values(&scale)?))
            }
            _ => Err(Error::CheckpointMismatch(format!(
                "tensor {scale:?} of shape {:?} is no float32 scale of {name:?} of shape {:?}",
                scales.shape, weight.shape
            ))),
        }
    }

    fn view(&self, name: &str) -> Result<&View> {
        (self.contents.tensors.get(name))
            .ok_or_else(|| Error::CheckpointMismatch(format!("tensor {name:?} is missing")))
    }
}

/// What to tell someone whose file is neither of the two formats.
fn describe_stranger(bytes: &[u8]) -> String {
    /// The number with which PyTorch's own files began before they were zips: a pickle of it alone, of any protocol.
    const LEGACY: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let start = &bytes[..bytes.len().min(64)];
    let text = String::from_utf8_lossy(start);
    let what = if bytes.is_empty() {
        "the file is empty: download it again"
    } else if bytes.starts_with(b"\x80") && start.windows(LEGACY.len()).any(|bytes| bytes == LEGACY) {
        "it is in PyTorch's old format: save it anew with a PyTorch of 1.6 or later, \
         `torch.save(torch.load(path, map_location=\"cpu\", weights_only=True), new_path)`"
    } else if bytes.starts_with(b"\x80") {
        "it is a pickle that torch.save did not write: load it in Python, make a dict of names and torch tensors, and \
         write that with `torch.save`"
    } else if bytes.starts_with(b"\x1f\x8b") {
        "it is packed with gzip: unpack it first"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "it is a tar archive: unpack it and take the .pth or .safetensors inside"
    } else if bytes.starts_with(b"GGUF") {
        "it is a .gguf; take the .pth or .safetensors that it was made from"
    } else if start.first() == Some(&8) && ["pytorch", "onnx"].iter().any(|word| text.contains(word)) {
        "it is a .onnx; take the .pth that it was made from"
    } else if text.starts_with("version https://git-lfs") {
        "it is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
    } else if text.trim_start().starts_with('<') {
        "it is a web page: the address leads to a page about the file, not to the file"
    } else {
        "it is neither a .pth written by torch.save nor a .safetensors"
    };
    what.to_owned()
}
