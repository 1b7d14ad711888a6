//! What every part of this folder speaks of: a tensor that is still in its file's bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::Error;

/// The element types of a file's tensors. Weights are floating-point or int8 with scales; the others occur in what
/// stands beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// Eight bytes, read as the nearest f32.
    F64,
    /// Four bytes.
    F32,
    /// Two bytes, IEEE's half.
    F16,
    /// Two bytes, the upper half of an f32.
    Bf16,
    /// Counters (`num_batches_tracked`), indices.
    I64,
    /// Counters of other programs.
    I32,
    /// No weight is of it.
    I16,
    /// Weights with a scale for each channel, in a tensor of their own.
    I8,
    /// No weight is of it; the state of a random generator is.
    U8,
    /// No weight is of it.
    Bool,
    /// A type that is known by name alone, such as float8.
    Other(&'static str),
}

impl Dtype {
    /// Bytes of one element; 0 for [`Dtype::Other`].
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::Other(_) => 0,
        }
    }

    /// Whether a weight may be of it.
    pub fn is_weight(self) -> bool {
        matches!(self, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 | Dtype::I8)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F64 => "float64",
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
            Dtype::I64 => "int64",
            Dtype::I32 => "int32",
            Dtype::I16 => "int16",
            Dtype::I8 => "int8",
            Dtype::U8 => "uint8",
            Dtype::Bool => "bool",
            Dtype::Other(name) => name,
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
    /// By name. A tensor in a dict within the file's dict has the dict's name before its own, and a dot between.
    pub tensors: BTreeMap<String, View>,
    /// The names, with their dots, of the dicts within the file's dict that hold tensors, in the file's order.
    pub dicts: Vec<String>,
    pub unpacked: Vec<Vec<u8>>,
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
pub(super) fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Option<Vec<u8>> {
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
