//! The 439 tensors of an official checkpoint, and whether a file holds them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::tensor_file::{Dtype, TensorFile, scale_of};
use crate::{Error, Result};

/// One per line: name, type, shape and element count, between tabs; in the order of the network.
const STATE_DICT: &str = include_str!("state_dict.txt");

/// One tensor of the official state dict.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub shape: Vec<usize>,
    /// An `int64` counter; every other tensor is floating-point.
    pub counter: bool,
    /// Whether the network needs it. What it does not need is known by name and may be absent: the classifier that
    /// the encoder was trained with (`norm_head`, `head`) and BatchNorm's counters. The hypernetwork of mask token 0
    /// counts as needed: TinySAM drops its mask, MobileSAM shows it for boxes.
    pub used: bool,
}

impl Key {
    /// The axis of the output channels of a large weight, which can be stored as int8 with a scale for each of them;
    /// `None` for what is small or no weight of a product. A transposed convolution has its outputs second.
    pub fn outputs(&self) -> Option<usize> {
        let large = self.shape.len() >= 2 && self.shape.iter().product::<usize>() >= 4096;
        let transposed = self.name.starts_with("mask_decoder.output_upscaling.");
        (self.used && large && self.name.ends_with(".weight")).then_some(transposed as usize)
    }
}

/// All keys, in the order of the official files.
pub fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| STATE_DICT.lines().filter_map(parse).collect());
    &KEYS
}

fn parse(line: &'static str) -> Option<Key> {
    let mut fields = line.split('\t');
    let (name, dtype, shape) = (fields.next()?, fields.next()?, fields.next()?);
    let sides = shape.strip_prefix('[')?.strip_suffix(']')?;
    let shape =
        (sides.split(", ").filter(|side| !side.is_empty())).map(|side| side.parse().ok()).collect::<Option<_>>()?;
    let used = !(name.ends_with(".num_batches_tracked")
        || name.starts_with("image_encoder.norm_head.")
        || name.starts_with("image_encoder.head."));
    Some(Key { name, shape, counter: dtype == "int64", used })
}

/// Accounts for every tensor: of the manifest and of the file.
///
/// # Errors
/// [`Error::CheckpointMismatch`] naming the first tensor that is missing, of another shape or type, or unknown, and
/// saying how many more there are.
pub(super) fn check(file: &TensorFile) -> Result<()> {
    let mut complaints = Vec::new();
    let mut unknown: BTreeMap<&str, _> = file.names().map(|name| (name, file.info(name))).collect();
    for key in keys() {
        let name = key.name;
        match unknown.remove(name).flatten() {
            None if key.used => complaints.push(format!("tensor {name:?} of shape {:?} is missing", key.shape)),
            None => {}
            Some((_, shape)) if shape != key.shape => {
                complaints.push(format!("tensor {name:?} has shape {shape:?}, TinySAM's has {:?}", key.shape))
            }
            Some((dtype, _)) if (dtype == Dtype::I64) != key.counter => complaints.push(format!(
                "tensor {name:?} holds {dtype}, TinySAM's {}",
                if key.counter { "int64" } else { "floating-point numbers" }
            )),
            Some((Dtype::I8, _)) => {
                // Whether it fits is seen when it is used.
                let scale = scale_of(name);
                if unknown.remove(scale.as_str()).is_none() {
                    complaints.push(format!("tensor {scale:?} is missing, without which int8 means nothing"));
                }
            }
            Some(_) => {}
        }
    }
    for (name, info) in &unknown {
        let shape = info.map_or(&[][..], |(_, shape)| shape);
        complaints.push(format!("tensor {name:?} of shape {shape:?} is unknown"));
    }
    match complaints.split_first() {
        None => Ok(()),
        Some((first, [])) => Err(Error::CheckpointMismatch(first.clone())),
        Some((first, rest)) => {
            Err(Error::CheckpointMismatch(format!("{first}, and {} more tensors do not fit", rest.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        assert_eq!(keys().len(), 439);
        assert_eq!(STATE_DICT.lines().count(), 439);
        for (key, line) in keys().iter().zip(STATE_DICT.lines()) {
            let count: usize = line.rsplit('\t').next().unwrap().parse().unwrap();
            assert_eq!(key.shape.iter().product::<usize>(), count, "{line}");
        }
    }

    #[test]
    fn counters_and_the_classifier_are_unused() {
        let unused: Vec<_> = keys().iter().filter(|key| !key.used).collect();
        assert_eq!(unused.len(), 27 + 4);
        assert!(unused.iter().all(|key| key.counter || key.name.contains("head.")));
        assert_eq!(keys().iter().filter(|key| key.counter).count(), 27);
        // Not to be taken for the classifier.
        assert!(keys().iter().any(|key| key.used && key.name.contains("iou_prediction_head.")));
    }
}
