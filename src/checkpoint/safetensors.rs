//! `.safetensors`: a JSON header naming the tensors, then their bytes.
//!
//! The `safetensors` crate reads and checks the header (no gaps, no overlaps, sizes equal to shape times type).
//! Its length is bounded here, and the sum that the crate takes unchecked is taken with care.

use ::safetensors::Dtype as Stored;
use ::safetensors::tensor::Metadata;

use super::limits;
use super::tensor::{Contents, Dtype, Source, View, invalid};
use crate::Result;

/// The header's length comes first, as a little-endian `u64`.
const LENGTH_BYTES: usize = 8;

/// Reads the header of a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let length = (bytes.first_chunk::<LENGTH_BYTES>())
        .map(|b| u64::from_le_bytes(*b))
        .ok_or_else(|| invalid("the .safetensors is truncated: it has no header"))?;
    let data_start = usize::try_from(length)
        .ok()
        .filter(|&length| length <= limits::HEADER)
        .and_then(|length| length.checked_add(LENGTH_BYTES))
        .ok_or_else(|| invalid(format!("its header claims {length} bytes, at most {} are read", limits::HEADER)))?;
    let header = bytes
        .get(LENGTH_BYTES..data_start)
        .ok_or_else(|| invalid("the .safetensors is truncated: its header is cut off"))?;
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|e| invalid(format!("the .safetensors header is wrong: {e}")))?;

    let expected = data_start.checked_add(metadata.data_len());
    if expected != Some(bytes.len()) {
        return Err(invalid(format!(
            "the .safetensors has {} bytes and its header describes {}: download it again",
            bytes.len(),
            expected.map_or("far more".to_owned(), |n| n.to_string()),
        )));
    }

    let infos = metadata.tensors();
    if infos.len() > limits::TENSORS {
        return Err(invalid(format!("it names {} tensors", infos.len())));
    }
    let mut contents = Contents::default();
    for (name, info) in infos {
        limits::check_tensor(&name, &info.shape)?;
        let dtype = dtype(info.dtype);
        let (start, end) = info.data_offsets;
        // In bounds: the crate checked the offsets against `data_len`, and that is the rest of the file.
        let range = data_start.saturating_add(start)..data_start.saturating_add(end);
        let view = View { dtype, shape: info.shape.clone(), strides: None, source: Source::File, range };
        contents.tensors.insert(name, view);
    }
    Ok(contents)
}

/// A type by its name here.
fn dtype(stored: Stored) -> Dtype {
    match stored {
        Stored::F64 => Dtype::F64,
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::I64 => Dtype::I64,
        Stored::I32 => Dtype::I32,
        Stored::I16 => Dtype::I16,
        Stored::I8 => Dtype::I8,
        Stored::U8 => Dtype::U8,
        Stored::BOOL => Dtype::Bool,
        Stored::F8_E4M3 => Dtype::Other("float8 (e4m3)"),
        Stored::F8_E5M2 => Dtype::Other("float8 (e5m2)"),
        Stored::U64 => Dtype::Other("uint64"),
        Stored::U32 => Dtype::Other("uint32"),
        Stored::U16 => Dtype::Other("uint16"),
        _ => Dtype::Other("numbers of a type that is not read"),
    }
}
