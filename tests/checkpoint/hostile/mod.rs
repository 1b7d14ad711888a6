//! Files that are damaged or mean harm: each is refused with a typed error, without a panic and without memory beyond
//! what its bytes justify. Here the damage that happens to any file: cuts, flipped bits, chance. What is made with
//! intent has a file for each layer.

mod pickles;
mod safetensors_headers;
mod zips;

use proptest::prelude::*;
use tinysam::checkpoint::{TensorFile, limits};
use zip::CompressionMethod;

use crate::containers::small_safetensors;
use crate::memory::peak_of;
use crate::torch_writer::{StateDict, Storage, zip_of};
use crate::{assert_says, fixture, refusal};

/// What reading a small file may cost, refused or not.
pub const SMALL: usize = 4 << 20;

/// A small file refused, at a small price.
#[track_caller]
pub fn cheap_refusal(bytes: Vec<u8>) -> String {
    assert!(bytes.len() < SMALL);
    let (message, peak) = peak_of(|| refusal(bytes));
    assert!(peak < SMALL, "{peak} bytes for: {message}");
    message
}

/// A tensor's name, shape and elements.
type Seen = (String, Vec<usize>, Vec<u8>);

/// Everything a reader could see of a file. `None` if it is refused as it must be.
#[track_caller]
pub fn seen(bytes: Vec<u8>) -> Option<Vec<Seen>> {
    let (file, peak) = peak_of(|| TensorFile::from_bytes(bytes));
    assert!(peak < SMALL, "{peak} bytes");
    match file {
        Ok(file) => {
            let names: Vec<_> = file.names().map(str::to_owned).collect();
            let see = |name: String| {
                let shape = file.info(&name).unwrap().1.to_vec();
                let raw = file.raw(&name).unwrap().into_owned();
                // Must not panic, whatever the elements are.
                let _ = file.values(&name);
                (name, shape, raw)
            };
            Some(names.into_iter().map(see).collect())
        }
        Err(error) => {
            assert_eq!(error.code(), "checkpoint_invalid", "{error}");
            None
        }
    }
}

pub fn small_dict() -> StateDict {
    let mut dict = StateDict::new();
    dict.push("a", &[2, 3], Storage::f32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    dict.push("b", &[], Storage::i64(&[7]));
    dict
}

/// A file with this pickle and the storages of `small_dict`.
pub fn with_pickle(pickle: Vec<u8>) -> Vec<u8> {
    let mut entries = small_dict().entries();
    entries[0].1 = pickle;
    zip_of(&entries, CompressionMethod::Stored)
}

#[test]
fn every_prefix_of_a_pth() {
    for name in ["torch_kinds.pth", "torch_module.pth"] {
        let bytes = fixture(name);
        for end in 0..bytes.len() {
            cheap_refusal(bytes[..end].to_vec());
        }
        assert!(seen(bytes).is_some());
    }
}

#[test]
fn every_prefix_of_a_pickle() {
    let pickle = small_dict().pickle();
    for end in 0..pickle.len() {
        let message = cheap_refusal(with_pickle(pickle[..end].to_vec()));
        assert_says(&message, &["pickle"]);
    }
    assert!(seen(with_pickle(pickle)).is_some());
}

#[test]
fn every_prefix_of_a_safetensors() {
    let bytes = small_safetensors();
    for end in 0..bytes.len() {
        cheap_refusal(bytes[..end].to_vec());
    }
    // A header cut off under a length that is true to the cut.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for end in 0..header {
        let mut cut = (end as u64).to_le_bytes().to_vec();
        cut.extend_from_slice(&bytes[8..8 + end]);
        cheap_refusal(cut);
    }
    let mut long = bytes;
    long.push(0);
    assert_says(&cheap_refusal(long), &["download it again"]);
}

/// By its length alone, before anything of it is looked at.
#[test]
fn a_file_is_bounded() {
    assert_says(&refusal(vec![0; limits::FILE + 1]), &["268435457", "at most 268435456"]);
    assert_says(&refusal(vec![0; limits::FILE]), &["neither"]);
}

#[test]
fn anything_after_the_end() {
    let mut bytes = fixture("torch_kinds.pth");
    bytes.push(0);
    assert_says(&cheap_refusal(bytes), &["cut off"]);
    let mut pickle = small_dict().pickle();
    pickle.push(b'.');
    cheap_refusal(with_pickle(pickle));
}

#[test]
fn every_flipped_bit_of_a_pth_is_refused_or_without_effect() {
    for name in ["torch_kinds.pth", "torch_module.pth"] {
        let bytes = fixture(name);
        let whole = seen(bytes.clone());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                if let Some(seen) = seen(flipped) {
                    assert!(Some(seen) == whole, "{name}: byte {at}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_weight_is_seen() {
    let values: Vec<f32> = (0..4096).map(|i| i as f32).collect();
    let mut dict = StateDict::new();
    dict.push("w", &[64, 64], Storage::f32(&values));
    let bytes = dict.file();
    let needle: Vec<u8> = values[100..104].iter().flat_map(|v| v.to_le_bytes()).collect();
    let at = bytes.windows(16).position(|w| w == needle).unwrap();
    for i in 0..128 {
        let mut flipped = bytes.clone();
        flipped[at + i / 8] ^= 1 << (i % 8);
        assert_says(&cheap_refusal(flipped), &["data/0", "damaged"]);
    }
}

#[test]
fn every_flipped_bit_of_a_pickle() {
    let pickle = small_dict().pickle();
    for at in 0..pickle.len() {
        for bit in 0..8 {
            let mut flipped = pickle.clone();
            flipped[at] ^= 1 << bit;
            seen(with_pickle(flipped));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_safetensors() {
    let bytes = small_safetensors();
    let whole = seen(bytes.clone()).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let seen = seen(flipped);
            if at >= header {
                // No checksum: the one bit shows in the one tensor.
                let seen = seen.unwrap();
                let differing: u32 = (seen.iter().zip(&whole))
                    .flat_map(|(a, b)| a.2.iter().zip(&b.2))
                    .map(|(a, b)| (a ^ b).count_ones())
                    .sum();
                assert_eq!(differing, 1);
            }
        }
    }
}

/// Pieces of pickle, so that chance gets further than its first byte.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(&b"()t}suRbQN\x85\x86\x87\x88\x89."[..]).prop_map(|b| vec![b]),
        2 => (prop::sample::select(&b"KqhKqh"[..]), 0u8..4).prop_map(|(op, n)| vec![op, n]),
        1 => any::<i32>().prop_map(|n| [&b"J"[..], &n.to_le_bytes()].concat()),
        1 => prop::sample::select(vec!["a", "storage", "0", "_metadata", ""])
            .prop_map(|s| [&b"X"[..], &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat()),
        2 => prop::sample::select(vec![
            "collections\nOrderedDict\n",
            "torch._utils\n_rebuild_tensor_v2\n",
            "torch\nFloatStorage\n",
        ])
        .prop_map(|s| [b"c", s.as_bytes()].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        seen(bytes);
    }

    #[test]
    fn any_bytes_after_a_magic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        seen([&b"PK\x03\x04"[..], &bytes].concat());
        seen([&(bytes.len() as u64).to_le_bytes()[..], b"{", &bytes].concat());
    }

    #[test]
    fn any_pickle(pieces in prop::collection::vec(piece(), 0..40)) {
        seen(with_pickle([b"\x80\x02".to_vec(), pieces.concat()].concat()));
    }

    #[test]
    fn pieces_put_into_a_pickle(at in 0.0..1.0f64, removed in 0usize..8, pieces in prop::collection::vec(piece(), 0..4)) {
        let mut pickle = small_dict().pickle();
        let at = (pickle.len() as f64 * at) as usize;
        let end = (at + removed).min(pickle.len());
        pickle.splice(at..end, pieces.concat());
        seen(with_pickle(pickle));
    }

    #[test]
    fn damage_to_a_pth(places in prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..8)) {
        let mut bytes = fixture("torch_kinds.pth");
        let whole = seen(bytes.clone());
        for (place, value) in places {
            let at = (bytes.len() as f64 * place) as usize;
            bytes[at] = value;
        }
        if let Some(seen) = seen(bytes) {
            prop_assert_eq!(Some(seen), whole);
        }
    }
}
