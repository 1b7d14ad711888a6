//! `.pth`: what `torch.save` writes since PyTorch 1.6, a zip holding one folder:
//! `data.pkl` (the dict, naming storages), `data/<key>` (a storage's elements) and `byteorder`.

mod archive;
mod pickle;

use std::collections::HashMap;
use std::ops::Range;

use super::limits;
use super::tensor::{Contents, View, element_count, invalid};
use crate::Result;
use archive::{Archive, Entry};
use pickle::Record;

/// Reads the dict and locates every tensor of it in the file.
pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let mut archive = Archive::open(bytes)?;
    let folder = folder(&archive)?;
    if let Some(order) = archive.entry(&format!("{folder}/byteorder"), 16)?
        && archive.bytes_of(&order) != b"little"
    {
        return Err(invalid(
            "it was saved on a big-endian machine: load it there with PyTorch and save it as .safetensors",
        ));
    }
    let name = format!("{folder}/data.pkl");
    if let Some(length) = archive.length(&name)?.filter(|length| *length > limits::PICKLE as u64) {
        return Err(invalid(format!(
            "beside tensors it holds {length} bytes of other values, at most {} are read: save the network alone, \
             `torch.save(model.state_dict(), path)`",
            limits::PICKLE
        )));
    }
    let pickle =
        archive.entry(&name, limits::PICKLE as u64)?.map(|entry| archive.bytes_of(&entry).to_vec()).unwrap_or_default();
    let found = pickle::read(&pickle)?;

    let mut contents = Contents { dicts: found.dicts, ..Contents::default() };
    // Storage by key, with how the pickle described it: several tensors may share one.
    let mut storages: HashMap<&str, (pickle::Storage<'_>, Entry)> = HashMap::new();
    for (name, record) in &found.tensors {
        let storage = record.storage;
        let (described, entry) = match storages.get(storage.key) {
            Some(known) => known.clone(),
            None => {
                let known = (storage, find(&mut archive, &folder, name, record)?);
                storages.insert(storage.key, known.clone());
                known
            }
        };
        if described != storage {
            return Err(invalid(format!("the storage of tensor {name:?} is described in two ways")));
        }
        let view = view(name, record, entry)?;
        if contents.tensors.insert(name.clone(), view).is_some() {
            return Err(invalid(format!("tensor {name:?} is there twice")));
        }
    }
    contents.unpacked = archive.unpacked;
    Ok(contents)
}

/// The folder that holds `data.pkl`; its name is that of the file when it was saved, or `archive`.
fn folder(archive: &Archive<'_>) -> Result<String> {
    let mut folders =
        archive.names().filter_map(|name| name.strip_suffix("/data.pkl")).filter(|folder| !folder.contains('/'));
    let folder = folders.next();
    let folder = folder.ok_or_else(|| invalid("it is a zip, but none that torch.save wrote"))?;
    if folders.next().is_some() {
        return Err(invalid("its zip holds two pickles"));
    }
    if archive.names().any(|name| name.strip_prefix(folder) == Some("/constants.pkl")) {
        return Err(invalid("it is a TorchScript program: save the model's `state_dict()` instead"));
    }
    Ok(folder.to_owned())
}

/// The bytes of a record's storage.
fn find(archive: &mut Archive<'_>, folder: &str, name: &str, record: &Record<'_>) -> Result<Entry> {
    let storage = record.storage;
    let entry = archive
        .entry(&format!("{folder}/data/{}", storage.key), limits::UNPACKED)?
        .ok_or_else(|| invalid(format!("the storage of tensor {name:?} is not in the file")))?;
    if storage.len.checked_mul(storage.dtype.size()) != Some(entry.range.len()) {
        return Err(invalid(format!(
            "the storage of tensor {name:?} has {} bytes, not {} times {}",
            entry.range.len(),
            storage.len,
            storage.dtype.size()
        )));
    }
    Ok(entry)
}

/// Where in its storage a tensor lies.
fn view(name: &str, record: &Record<'_>, entry: Entry) -> Result<View> {
    let elements = span(record).ok_or_else(|| {
        invalid(format!(
            "tensor {name:?} (shape {:?}, strides {:?}, offset {}) reaches outside its storage of {}",
            record.shape, record.strides, record.offset, record.storage.len
        ))
    })?;
    // Memory that the file's bytes do not justify, but for the few that a repeated value may take.
    let count = element_count(&record.shape).unwrap_or(usize::MAX);
    if count > elements.len().max(limits::REPEATED) {
        return Err(invalid(format!(
            "tensor {name:?} of shape {:?} repeats {} elements: save it with `.contiguous()`",
            record.shape,
            elements.len()
        )));
    }
    // No overflow: the elements lie in the storage, and that in the file.
    let size = record.storage.dtype.size();
    let range = entry.range.start + elements.start * size..entry.range.start + elements.end * size;
    Ok(View {
        dtype: record.storage.dtype,
        shape: record.shape.clone(),
        strides: (!is_row_major(&record.shape, &record.strides)).then(|| record.strides.clone()),
        source: entry.source,
        range,
    })
}

/// The elements of its storage from a tensor's first to its last; `None` if the storage does not hold them.
fn span(record: &Record<'_>) -> Option<Range<usize>> {
    if record.strides.len() != record.shape.len() {
        return None;
    }
    let mut last = 0usize;
    for (side, stride) in record.shape.iter().zip(&record.strides) {
        last = last.checked_add(side.saturating_sub(1).checked_mul(*stride)?)?;
    }
    let length = match element_count(&record.shape)? {
        0 => 0,
        _ => last.checked_add(1)?,
    };
    let end = record.offset.checked_add(length)?;
    (end <= record.storage.len).then_some(record.offset..end)
}

/// Whether the elements lie one after the other in row-major order. The stride of an axis of one is of no matter.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.contains(&0)
        || shape.iter().zip(strides).rev().all(|(&side, &stride)| {
            let fits = side == 1 || stride == expected;
            expected *= side;
            fits
        })
}
