//! A file of named tensors, of whatever network: the layer between the bytes and TinySAM's own 439 keys.
//!
//! The file's bytes are kept once and as they are; a tensor is a range of them with a type and a shape, and turns
//! into `f32` values when it is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use half::{bf16, f16};

use super::{limits, pth, safetensors};
use crate::{Error, Result};

/// The element types that a checkpoint may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    F32,
    F16,
    Bf16,
    /// Weights with a scale for each channel, in a tensor of their own.
    I8,
    /// Counters (`num_batches_tracked`).
    I64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 => 1,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::F32 => 4,
            Dtype::I64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
            Dtype::I8 => "int8",
            Dtype::I64 => "int64",
        })
    }
}

/// Where a tensor's elements lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// In the file itself.
    File,
    /// In the n-th buffer of what had to be decompressed.
    Unpacked(usize),
}

/// One tensor, still in its bytes.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Elements to step along each axis; `None` for a row-major tensor without gaps.
    pub strides: Option<Vec<usize>>,
    pub source: Source,
    /// Bytes of `source`, from the first element to the end of the last one.
    pub range: Range<usize>,
}

/// What a container's reader hands over.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub tensors: BTreeMap<String, View>,
    pub unpacked: Vec<Vec<u8>>,
}

/// A file of named tensors: a `.pth` written by `torch.save`, or a `.safetensors`.
#[derive(Debug)]
pub struct TensorFile {
    bytes: Vec<u8>,
    contents: Contents,
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
        let contents = if bytes.starts_with(b"PK\x03\x04") {
            pth::read(&bytes)?
        } else if bytes.get(8) == Some(&b'{') {
            safetensors::read(&bytes)?
        } else {
            return Err(invalid(describe_stranger(&bytes)));
        };
        Ok(Self { bytes, contents })
    }

    /// The file as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// A tensor's element type and shape.
    pub fn info(&self, name: &str) -> Option<(Dtype, &[usize])> {
        let view = self.contents.tensors.get(name)?;
        Some((view.dtype, &view.shape))
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
    /// [`Error::CheckpointMismatch`] if there is no such tensor, if it holds counters, or int8 without a scale
    /// that fits; [`Error::CheckpointInvalid`] if one of its values is infinite or not a number.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let raw = self.raw(name)?;
        let values: Vec<f32> = match self.view(name)?.dtype {
            Dtype::F32 => (raw.as_chunks().0.iter()).map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => (raw.as_chunks().0.iter()).map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => (raw.as_chunks().0.iter()).map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::I8 => self.scaled(name, &raw)?,
            Dtype::I64 => {
                return Err(Error::CheckpointMismatch(format!(
                    "tensor {name:?} holds int64, not floating-point numbers"
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
        let scale = scale_of(name);
        let (shape, sides) = (&self.view(name)?.shape, &self.view(&scale)?.shape);
        let axis = scaled_axis(shape, sides);
        let axis =
            axis.filter(|_| matches!(self.view(&scale), Ok(view) if view.dtype == Dtype::F32)).ok_or_else(|| {
                Error::CheckpointMismatch(format!(
                    "tensor {scale:?} of shape {sides:?} is no float32 scale of {name:?} of shape {shape:?}"
                ))
            })?;
        let scales = self.values(&scale)?;
        // Elements in a row that share a scale.
        let run: usize = shape[axis + 1..].iter().product();
        let mut values = Vec::with_capacity(raw.len());
        for (run, scale) in raw.chunks(run.max(1)).zip(scales.iter().cycle()) {
            values.extend(run.iter().map(|byte| f32::from(*byte as i8) * scale));
        }
        Ok(values)
    }

    fn view(&self, name: &str) -> Result<&View> {
        (self.contents.tensors.get(name))
            .ok_or_else(|| Error::CheckpointMismatch(format!("tensor {name:?} is missing")))
    }
}

/// The name of an int8 tensor's scales, float32: as many axes as the tensor, as long as its own along the axis of the
/// channels and 1 along the others. A value is its int8 times its channel's scale.
pub(super) fn scale_of(name: &str) -> String {
    format!("{name}.scale")
}

/// The axis along which a tensor of `shape` is scaled by a tensor of sides `sides`, if they fit.
fn scaled_axis(shape: &[usize], sides: &[usize]) -> Option<usize> {
    let axis = sides.iter().position(|side| *side != 1).unwrap_or(0);
    let fits = |(at, side): (usize, &usize)| *side == if at == axis { shape[at] } else { 1 };
    (!shape.is_empty() && shape.len() == sides.len() && sides.iter().enumerate().all(fits)).then_some(axis)
}

/// Shorthand for the error of this folder.
pub(super) fn invalid(what: impl Into<String>) -> Error {
    Error::CheckpointInvalid(what.into())
}

/// Number of elements of a shape, if it fits a `usize`.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side))
}

/// Copies a strided tensor to row-major order. `None` if an element lies outside `bytes`.
fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Option<Vec<u8>> {
    let count = element_count(shape)?;
    let mut out = Vec::with_capacity(count.checked_mul(size)?);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let mut at = 0usize;
        for (i, stride) in index.iter().zip(strides) {
            at = at.checked_add(stride.checked_mul(*i)?)?;
        }
        let start = at.checked_mul(size)?;
        out.extend_from_slice(bytes.get(start..start.checked_add(size)?)?);
        // The next index, last axis fastest.
        for (i, side) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *side {
                break;
            }
            *i = 0;
        }
    }
    Some(out)
}

/// What to tell someone whose file is neither of the two formats.
fn describe_stranger(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    let what = if bytes.is_empty() {
        "the file is empty: download it again"
    } else if bytes.starts_with(b"\x80") {
        "it is in PyTorch's old format: save it anew with a PyTorch of 1.6 or later, \
         `torch.save(torch.load(path, map_location=\"cpu\", weights_only=True), new_path)`"
    } else if text.starts_with("version https://git-lfs") {
        "it is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
    } else if text.trim_start().starts_with('<') {
        "it is a web page: the address leads to a page about the file, not to the file"
    } else {
        "it is neither a .pth written by torch.save nor a .safetensors"
    };
    what.to_owned()
}
