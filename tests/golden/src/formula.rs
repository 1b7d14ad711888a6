//! The formula checkpoint: weights that are a pure function of a seed, a parameter's name and an index, so
//! that tests, tools and pages need no file of 40 MB and any language rebuilds the same bits.
//!
//! Each value is drawn uniformly from a range that depends on the parameter's kind ([`Range::of`]), chosen so
//! that activations keep the spread of a trained network and rounding faults show.

use std::borrow::Cow;

use safetensors::tensor::Dtype;
use sha2::{Digest, Sha256};

use crate::{hex, mix};

/// The 439 tensors of the official checkpoint: name, dtype, shape, count, tab-separated.
const STATE_DICT: &str = include_str!("../../../src/checkpoint/state_dict.txt");

/// A tensor of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As in the state dict.
    pub name: &'static str,
    /// As in the state dict; empty for a counter.
    pub shape: Vec<usize>,
    /// An `int64` counter (`num_batches_tracked`), not a weight.
    pub counter: bool,
}

impl Key {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its little-endian bytes under a seed.
    fn bytes(&self, seed: u64) -> Vec<u8> {
        if self.counter {
            return vec![0; 8 * self.len()];
        }
        values(seed, self.name, &self.shape).iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// All keys, in the checkpoint's order.
///
/// # Panics
/// If the list compiled into this crate is malformed.
pub fn keys() -> Vec<Key> {
    STATE_DICT
        .lines()
        .map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next().expect("four columns");
            let (name, dtype, shape) = (column(), column(), column());
            let shape = shape.trim_matches(['[', ']']).split(", ").filter(|side| !side.is_empty());
            Key { name, shape: shape.map(|side| side.parse().expect("a side")).collect(), counter: dtype == "int64" }
        })
        .collect()
}

/// The values of the parameter `name` under `seed`, flattened row-major.
pub fn values(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let range = Range::of(name, shape);
    let start = mix::fnv1a(name) ^ seed.wrapping_mul(mix::GOLD);
    (0..shape.iter().product::<usize>())
        .map(|index| {
            let step = (index as u64).wrapping_add(1);
            let bits = mix::full(start.wrapping_add(step.wrapping_mul(mix::GOLD))) >> 40;
            let unit = bits as f64 / f64::from(1u32 << 24);
            let centre = if index % 9 == 4 { range.centre } else { 0.0 };
            (range.low + (range.high - range.low) * unit + centre) as f32
        })
        .collect()
}

/// The whole checkpoint as a safetensors file: 412 `f32` tensors and 27 `int64` counters, about 40 MB.
///
/// # Panics
/// If memory for it cannot be had.
pub fn formula_safetensors(seed: u64) -> Vec<u8> {
    let tensors = keys().into_iter().map(|key| (key.name, Values { bytes: key.bytes(seed), key }));
    safetensors::serialize(tensors, None).expect("names are unique and lengths match")
}

/// SHA-256 over every key in sorted order: its name's UTF-8 bytes, then its little-endian data.
pub fn weights_sha256(seed: u64) -> String {
    let mut keys = keys();
    keys.sort_by_key(|key| key.name);
    let mut hash = Sha256::new();
    for key in keys {
        hash.update(key.name.as_bytes());
        hash.update(key.bytes(seed));
    }
    hex(&hash.finalize())
}

struct Values {
    key: Key,
    bytes: Vec<u8>,
}

impl safetensors::View for Values {
    fn dtype(&self) -> Dtype {
        if self.key.counter { Dtype::I64 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        &self.key.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Where a parameter's values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: f64,
    high: f64,
    /// Added to the middle tap of each 3×3 kernel, so that a depthwise convolution passes its input on.
    centre: f64,
}

/// The parts of the names of norms' biases.
const NORMS: [&str; 7] =
    [".norm", "norm_head", "neck.1.", "neck.3.", "output_upscaling.1.", "mask_downscaling.1.", "mask_downscaling.4."];

impl Range {
    fn from(low: f64, high: f64) -> Self {
        Self { low, high, centre: 0.0 }
    }

    fn around_zero(half: f64) -> Self {
        Self::from(-half, half)
    }

    /// The first rule that matches the name decides.
    fn of(name: &str, shape: &[usize]) -> Self {
        let ends = |suffix: &str| name.ends_with(suffix);
        let has = |part: &str| name.contains(part);
        let first = shape.first().copied().unwrap_or(1) as f64;
        let fan_in = shape.iter().skip(1).product::<usize>() as f64;
        let vector = shape.len() == 1;
        let embedding = has("_embed") && shape.len() == 2 && first == 1.0;

        if ends("num_batches_tracked") {
            Self::around_zero(0.0)
        } else if ends("running_mean") {
            Self::around_zero(0.3)
        } else if ends("running_var") {
            Self::from(0.6, 1.6)
        } else if ends("bn.weight") {
            Self::from(0.7, 1.3)
        } else if ends("bn.bias") {
            Self::around_zero(0.3)
        } else if ends("attention_biases") {
            Self::around_zero(1.5)
        } else if ends("local_conv.c.weight") {
            Self { centre: 0.8, ..Self::around_zero(0.25) }
        } else if ends("patch_embed.seq.0.c.weight") {
            Self::around_zero((3.0 / fan_in).sqrt())
        } else if ends(".c.weight") {
            Self::around_zero(1.35 * (3.0 / fan_in).sqrt())
        } else if ends("positional_encoding_gaussian_matrix") {
            Self::around_zero(3f64.sqrt())
        } else if embedding || ends("iou_token.weight") || ends("mask_tokens.weight") {
            Self::around_zero(1.0)
        } else if vector && ends(".weight") {
            Self::from(0.7, 1.3)
        } else if vector && NORMS.iter().any(|part| has(part)) {
            Self::around_zero(0.3)
        } else if ends("iou_prediction_head.layers.2.bias") {
            Self::from(0.3, 0.9)
        } else if vector {
            Self::around_zero(0.2)
        } else if has("output_upscaling") {
            Self::around_zero(1.2 * (3.0 / first).sqrt())
        } else {
            Self::around_zero(gain(name) * (3.0 / fan_in).sqrt())
        }
    }
}

/// How far a linear layer's or a plain convolution's weights are spread, relative to keeping the variance.
fn gain(name: &str) -> f64 {
    let has = |part: &str| name.contains(part);
    if name.ends_with("qkv.weight") {
        1.8
    } else if has("q_proj") || has("k_proj") {
        1.5
    } else if has("hypernetworks") || has("lin1") || has("fc1") {
        1.4
    } else if has("iou_prediction_head.layers.2") {
        0.25
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_there() {
        let keys = keys();
        assert_eq!(keys.len(), 439);
        assert_eq!(keys.iter().filter(|key| key.counter).count(), 27);
        assert!(keys.iter().filter(|key| key.counter).all(|key| key.shape.is_empty()));
    }

    #[test]
    fn the_goldens_weights() {
        assert_eq!(weights_sha256(0), "f5d0d51605946a2d08b25b547f283aac20bd1a7ce4315548e5e17929127d82dc");
    }

    #[test]
    fn another_seed_is_another_checkpoint() {
        assert_ne!(weights_sha256(1), weights_sha256(0));
        assert_ne!(weights_sha256(1), weights_sha256(u64::MAX));
    }

    #[test]
    fn the_file_holds_every_tensor() {
        let file = formula_safetensors(7);
        let read = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(read.len(), 439);
        for key in keys() {
            let tensor = read.tensor(key.name).unwrap();
            assert_eq!(tensor.shape(), key.shape, "{}", key.name);
            assert_eq!(tensor.data(), key.bytes(7), "{}", key.name);
        }
    }
}
