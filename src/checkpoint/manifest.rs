//! The 439 tensors of an official checkpoint, and how others differ from them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::int8;
use super::tensor::Dtype;

/// One per line: name, type, shape and element count, between tabs; in the order of the network.
const STATE_DICT: &str = include_str!("state_dict.txt");

/// One tensor of the official state dict.
#[derive(Debug)]
pub struct Key {
    /// As PyTorch names it.
    pub name: &'static str,
    /// In PyTorch's layout.
    pub shape: Vec<usize>,
    /// An `int64` counter; every other tensor is floating-point.
    pub counter: bool,
    /// Whether the network needs it. What it does not need is known by name and may be absent or anything: the
    /// classifier that the encoder was trained with (`norm_head`, `head`) and BatchNorm's counters. The hypernetwork of
    /// mask token 0 counts as needed: TinySAM drops its mask, MobileSAM shows it for boxes.
    pub used: bool,
}

impl Key {
    /// The axis of the output channels of a large weight, which can be stored as int8 with a scale for each of them;
    /// `None` for what is small or no weight of a product.
    pub fn outputs(&self) -> Option<usize> {
        int8::output_axis(self.name, &self.shape).filter(|_| self.used)
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

/// How a list of tensors differs from the manifest.
#[derive(Debug, Default)]
pub(super) struct Misfits {
    /// The first difference, as a sentence.
    first: Option<String>,
    /// Tensors of the network that are there and fit.
    fitting: usize,
    missing: usize,
    /// Of another shape or type, or int8 without scales.
    wrong: usize,
    unknown: usize,
}

impl Misfits {
    /// Tensors that do not fit.
    pub fn count(&self) -> usize {
        self.missing + self.wrong + self.unknown
    }

    /// What is wrong and what to do, for [`Error::CheckpointMismatch`](crate::Error::CheckpointMismatch).
    pub fn sentence(&self) -> String {
        let mut sentence = self.first.clone().unwrap_or_default();
        match self.count() {
            0 | 1 => {}
            count => sentence += &format!(", and {} more tensors do not fit", count - 1),
        }
        match self {
            Misfits { fitting: 1.., missing: 1.., wrong: 0, unknown: 0, .. } => {
                sentence += &format!("; the {} that are there fit: join the parts of the checkpoint", self.fitting);
            }
            Misfits { missing: 0, wrong: 0, unknown: 1.., .. } => {
                sentence += "; all of TinySAM's are there: save those alone, with an adapter merged into them";
            }
            _ => {}
        }
        sentence
    }

    fn note(&mut self, sentence: impl FnOnce() -> String) {
        self.first.get_or_insert_with(sentence);
    }
}

/// Accounts for every tensor, of the manifest and of `tensors`. What the network does not use may be anything.
pub(super) fn compare(mut tensors: BTreeMap<&str, (Dtype, &[usize])>) -> Misfits {
    let mut misfits = Misfits::default();
    for key in keys() {
        let name = key.name;
        let Some((dtype, shape)) = tensors.remove(name) else {
            if key.used {
                misfits.missing += 1;
                misfits.note(|| format!("tensor {name:?} of shape {:?} is missing", key.shape));
            }
            continue;
        };
        if dtype == Dtype::I8 && tensors.remove(int8::scale_of(name).as_str()).is_none() && key.used {
            // Whether it fits is seen when it is used.
            misfits.wrong += 1;
            let scale = int8::scale_of(name);
            misfits.note(|| format!("tensor {scale:?} is missing, without which int8 means nothing"));
        } else if key.used && shape != key.shape {
            misfits.wrong += 1;
            misfits.note(|| format!("tensor {name:?} has shape {shape:?}, TinySAM's has {:?}", key.shape));
        } else if key.used && !dtype.is_weight() {
            misfits.wrong += 1;
            misfits.note(|| format!("tensor {name:?} holds {dtype}, TinySAM's floating-point numbers"));
        } else if key.used {
            misfits.fitting += 1;
        }
    }
    for (name, (_, shape)) in tensors.into_iter().filter(|(name, info)| !is_derived(name) && !is_count(name, *info)) {
        misfits.unknown += 1;
        misfits.note(|| format!("tensor {name:?} of shape {shape:?} is unknown"));
    }
    misfits
}

/// Buffers that some programs save and others do not: what the network's own code makes of constants.
fn is_derived(name: &str) -> bool {
    matches!(name, "pixel_mean" | "pixel_std") || name.ends_with(".attn.attention_bias_idxs")
}

/// Whether a tensor counts something of a script's beside the network, as `n_averaged` of an averaged one's: an integer by
/// itself, which is no weight.
pub(super) fn is_count(name: &str, (dtype, shape): (Dtype, &[usize])) -> bool {
    shape.is_empty() && !dtype.is_weight() && !name.contains('.')
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
