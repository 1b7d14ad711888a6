//! The whole checkpoint: all 439 tensors of the official structure, made here, since no 40 MB file is kept in the
//! repository.

use std::sync::LazyLock;

use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors};
use tinysam::checkpoint::manifest::{self, Key};
use tinysam::checkpoint::{Checkpoint, Precision};

use crate::assert_says;
use crate::containers::safetensors_of;
use crate::memory::peak_of;
use crate::torch_writer::{StateDict, Storage};

/// Values that f32, f16 and bf16 all hold exactly, different for each tensor.
pub fn values(key: &Key) -> Vec<f32> {
    let seed = (key.name.bytes()).fold(7u32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
    let count: usize = key.shape.iter().product();
    (0..count as u32)
        .map(|i| {
            let mixed = (i.wrapping_add(seed)).wrapping_mul(0x9E37_79B9) >> 24;
            (mixed as f32 - 127.5).trunc() / 128.0
        })
        .collect()
}

pub fn storage(key: &Key) -> Storage {
    match key.counter {
        true => Storage::i64(&[12_345]),
        false => Storage::f32(&values(key)),
    }
}

pub fn state_dict() -> StateDict {
    let mut dict = StateDict::new();
    for key in manifest::keys() {
        dict.push(key.name, &key.shape, storage(key));
    }
    dict
}

/// The official file's structure.
static PTH: LazyLock<Vec<u8>> = LazyLock::new(|| state_dict().file());

pub type Stored = (&'static str, Dtype, Vec<usize>, Vec<u8>);

pub fn stored(key: &'static Key, dtype: Dtype) -> Stored {
    let values = values(key);
    let (dtype, data) = match dtype {
        _ if key.counter => (Dtype::I64, vec![0; 8]),
        Dtype::F64 => (dtype, values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
        Dtype::F16 => (dtype, values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect()),
        Dtype::BF16 => (dtype, values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect()),
        _ => (dtype, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
    };
    (key.name, dtype, key.shape.clone(), data)
}

#[track_caller]
pub fn assert_whole(checkpoint: &Checkpoint) {
    for key in manifest::keys().iter().filter(|key| key.used) {
        let found = checkpoint.tensor(key.name, &key.shape).unwrap();
        assert!(found == values(key), "{}", key.name);
    }
}

#[track_caller]
pub fn mismatch(bytes: Vec<u8>) -> String {
    match Checkpoint::from_bytes(bytes) {
        Ok(_) => panic!("the file was read"),
        Err(error) => {
            assert_eq!(error.code(), "checkpoint_mismatch", "{error}");
            error.to_string()
        }
    }
}

#[test]
fn the_official_structure_loads() {
    assert!((40_500_000..41_000_000).contains(&PTH.len()), "{}", PTH.len());
    let checkpoint = Checkpoint::from_bytes(PTH.clone()).unwrap();
    assert_whole(&checkpoint);
    // The unused are there, too.
    assert_eq!(checkpoint.tensor("image_encoder.head.bias", &[1000]).unwrap().len(), 1000);
}

#[test]
fn a_modules_dict_saved_from_a_gpu_loads() {
    let mut dict = state_dict();
    dict.location = "cuda:0";
    dict.metadata = Some(vec![("", 1), ("image_encoder", 1), ("image_encoder.patch_embed.seq.0.bn", 2)]);
    assert_whole(&Checkpoint::from_bytes(dict.file()).unwrap());
}

#[test]
fn loading_holds_the_file_once() {
    let bytes = PTH.clone();
    let (checkpoint, peak) = peak_of(|| Checkpoint::from_bytes(bytes));
    assert!(checkpoint.is_ok());
    assert!(peak < 2 << 20, "{peak} bytes beside the file");
}

#[test]
fn safetensors_of_each_float_type_load() {
    for dtype in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16] {
        let tensors: Vec<Stored> = manifest::keys().iter().map(|key| stored(key, dtype)).collect();
        assert_whole(&Checkpoint::from_bytes(safetensors_of(&tensors)).unwrap());
    }
}

#[test]
fn the_formula_checkpoint_is_the_same_in_both_formats() {
    let safetensors = Checkpoint::from_bytes(tinysam_golden::formula::formula_safetensors(0)).unwrap();
    let mut dict = StateDict::new();
    for key in manifest::keys() {
        let storage = match key.counter {
            true => Storage::i64(&[0]),
            false => Storage::f32(&tinysam_golden::formula::values(0, key.name, &key.shape)),
        };
        dict.push(key.name, &key.shape, storage);
    }
    let pth = Checkpoint::from_bytes(dict.file()).unwrap();
    for key in manifest::keys().iter().filter(|key| key.used) {
        let values = pth.tensor(key.name, &key.shape).unwrap();
        assert!(values == safetensors.tensor(key.name, &key.shape).unwrap(), "{}", key.name);
    }
    assert!(pth.to_safetensors(Precision::F16) == safetensors.to_safetensors(Precision::F16));
}

#[test]
fn the_hash_is_of_the_file() {
    let tensors: Vec<Stored> = manifest::keys().iter().map(|key| stored(key, Dtype::F16)).collect();
    let bytes = safetensors_of(&tensors);
    let hash = tinysam::checkpoint::sha256_hex(&bytes);
    assert_eq!(Checkpoint::from_bytes(bytes).unwrap().sha256(), hash);
    assert_eq!(
        tinysam::checkpoint::sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn conversion_drops_the_unused_and_nothing_else() {
    let checkpoint = Checkpoint::from_bytes(PTH.clone()).unwrap();
    for (precision, dtype, limit) in
        [(Precision::F32, Dtype::F32, 40_000_000), (Precision::F16, Dtype::F16, 20_000_000)]
    {
        let bytes = checkpoint.to_safetensors(precision).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
        assert_eq!(header.tensors().len(), 439 - 31);
        assert!(header.tensors().values().all(|info| info.dtype == dtype));
        assert!(bytes.len() <= limit, "{}", bytes.len());
        println!("{precision:?}: {} bytes", bytes.len());

        let again = Checkpoint::from_bytes(bytes.clone()).unwrap();
        assert_whole(&again);
        // Of equal weights, equal bytes; and nothing left to drop.
        assert!(again.to_safetensors(precision).unwrap() == bytes);
        let absent = again.tensor("image_encoder.head.bias", &[1000]).unwrap_err();
        assert_eq!(absent.code(), "checkpoint_mismatch");
    }
}

#[test]
fn int8_keeps_each_channel_to_half_a_step() {
    let checkpoint = Checkpoint::from_bytes(PTH.clone()).unwrap();
    let bytes = checkpoint.to_safetensors(Precision::Int8).unwrap();
    println!("Int8: {} bytes", bytes.len());
    assert!(bytes.len() <= 10_200_000, "{}", bytes.len());
    let again = Checkpoint::from_bytes(bytes).unwrap();
    let mut scaled = 0;
    for key in manifest::keys().iter().filter(|key| key.used) {
        let (found, expected) = (again.tensor(key.name, &key.shape).unwrap(), values(key));
        let Some(axis) = key.outputs() else {
            assert!(found == expected, "{}", key.name);
            continue;
        };
        scaled += expected.len();
        let run: usize = key.shape[axis + 1..].iter().product();
        let mut largest = vec![0f32; key.shape[axis]];
        for (i, value) in expected.iter().enumerate() {
            let largest = &mut largest[i / run % key.shape[axis]];
            *largest = largest.max(value.abs());
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let step = largest[i / run % key.shape[axis]] / 127.0;
            assert!((found - expected).abs() <= 0.5001 * step, "{} at {i}: {found}, {expected}", key.name);
        }
    }
    assert!(scaled > 9_000_000, "{scaled}");
    let transposed = manifest::keys().iter().find(|key| key.name == "mask_decoder.output_upscaling.3.weight").unwrap();
    assert_eq!((&transposed.shape[..], transposed.outputs()), (&[64, 32, 2, 2][..], Some(1)));
}

/// Whatever is wrong with a scale, the error names it.
#[test]
fn int8_without_its_scale_is_refused() {
    let name = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight";
    let scale: &'static str = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight.scale";
    let whole = |scales: &[Stored]| {
        let mut tensors: Vec<Stored> =
            manifest::keys().iter().filter(|key| key.used).map(|key| stored(key, Dtype::F16)).collect();
        let tensor = tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap();
        (tensor.1, tensor.3) = (Dtype::I8, vec![255; 256 * 256]);
        tensors.extend_from_slice(scales);
        safetensors_of(&tensors)
    };
    let floats = |count: usize, value: f32| (0..count).flat_map(|_| value.to_le_bytes()).collect::<Vec<u8>>();
    assert_says(&mismatch(whole(&[])), &[scale, "missing"]);
    let good = Checkpoint::from_bytes(whole(&[(scale, Dtype::F32, vec![256, 1], floats(256, 0.5))])).unwrap();
    assert!(good.tensor(name, &[256, 256]).unwrap() == vec![-0.5; 256 * 256]);

    let refused = |code: &str, scales: Stored| {
        let checkpoint = Checkpoint::from_bytes(whole(&[scales])).unwrap();
        let error = checkpoint.tensor(name, &[256, 256]).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_says(&error.to_string(), &[name]);
    };
    refused("checkpoint_mismatch", (scale, Dtype::F32, vec![256], floats(256, 1.0)));
    refused("checkpoint_mismatch", (scale, Dtype::F32, vec![255, 1], floats(255, 1.0)));
    refused("checkpoint_mismatch", (scale, Dtype::F32, vec![256, 256], floats(256 * 256, 1.0)));
    refused("checkpoint_mismatch", (scale, Dtype::F16, vec![256, 1], vec![0; 512]));
    refused("checkpoint_mismatch", (scale, Dtype::I8, vec![256, 1], vec![1; 256]));
    refused("checkpoint_invalid", (scale, Dtype::F32, vec![256, 1], floats(256, f32::NAN)));
    refused("checkpoint_invalid", (scale, Dtype::F32, vec![256, 1], floats(256, f32::INFINITY)));

    // A scale of nothing.
    let mut tensors: Vec<Stored> = manifest::keys().iter().map(|key| stored(key, Dtype::F16)).collect();
    tensors.push((scale, Dtype::F32, vec![256, 1], floats(256, 1.0)));
    assert_says(&mismatch(safetensors_of(&tensors)), &[scale, "unknown"]);
}

#[test]
fn f16_that_cannot_hold_a_value_is_refused() {
    let mut dict = state_dict();
    let at = manifest::keys().iter().position(|key| key.name == "mask_decoder.iou_token.weight").unwrap();
    let mut iou_token = values(&manifest::keys()[at]);
    iou_token[3] = 1e6;
    dict.storages[at] = Storage::f32(&iou_token);
    let checkpoint = Checkpoint::from_bytes(dict.file()).unwrap();
    assert!(checkpoint.to_safetensors(Precision::F32).is_ok());
    let error = checkpoint.to_safetensors(Precision::F16).unwrap_err();
    assert_eq!(error.code(), "option_invalid");
    assert_says(&error.to_string(), &["mask_decoder.iou_token.weight", "element 3"]);
}

#[test]
fn a_tensor_of_another_shape_is_not_handed_out() {
    let checkpoint = Checkpoint::from_bytes(PTH.clone()).unwrap();
    let error = checkpoint.tensor("mask_decoder.iou_token.weight", &[256]).unwrap_err();
    assert_eq!(error.code(), "checkpoint_mismatch");
    assert_says(&error.to_string(), &["mask_decoder.iou_token.weight", "[1, 256]", "[256]"]);
    assert_eq!(checkpoint.tensor("nowhere", &[1]).unwrap_err().code(), "checkpoint_mismatch");
    let counter = "image_encoder.patch_embed.seq.0.bn.num_batches_tracked";
    assert_eq!(checkpoint.tensor(counter, &[]).unwrap_err().code(), "checkpoint_mismatch");
}

#[test]
fn another_segment_anything_is_named_as_such() {
    let mut dict = StateDict::new();
    dict.push("image_encoder.pos_embed", &[1, 2, 2, 3], Storage::f32(&[0.0; 12]));
    assert_says(&mismatch(dict.file()), &["missing", "408 more"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever one tensor is done to, the error names it; only an unused one may be absent, or anything.
    #[test]
    fn one_wrong_tensor_is_named(at in 0usize..439, what in 0usize..4) {
        let key = &manifest::keys()[at];
        let mut tensors: Vec<Stored> =
            manifest::keys().iter().filter(|k| k.used || k.name == key.name).map(|k| stored(k, Dtype::F16)).collect();
        let index = tensors.iter().position(|t| t.0 == key.name).unwrap();
        let tensor = &mut tensors[index];
        let words = match what {
            0 => {
                tensors.remove(index);
                ["missing", key.name]
            }
            1 => {
                tensor.2.push(1);
                ["shape", key.name]
            }
            2 => {
                let count = tensor.2.iter().product::<usize>();
                (tensor.1, tensor.3) = (Dtype::I64, vec![0; count * 8]);
                ["holds", key.name]
            }
            _ => {
                tensors.push(("mask_decoder.extra", Dtype::F16, vec![1], vec![0; 2]));
                ["unknown", "mask_decoder.extra"]
            }
        };
        let bytes = safetensors_of(&tensors);
        if what < 3 && !key.used {
            assert_whole(&Checkpoint::from_bytes(bytes).unwrap());
        } else {
            assert_says(&mismatch(bytes), &words);
        }
    }

    /// A cut or a flipped bit anywhere in a whole file: refused, or without effect.
    #[test]
    fn a_damaged_whole_file(position in 0.0..1.0f64, near_end in any::<bool>(), bit in 0u8..8) {
        let from = if near_end { PTH.len() - 60_000 } else { 0 };
        let at = from + ((PTH.len() - from) as f64 * position) as usize;
        let cut = Checkpoint::from_bytes(PTH[..at].to_vec()).unwrap_err();
        prop_assert_eq!(cut.code(), "checkpoint_invalid");
        let mut flipped = PTH.clone();
        flipped[at] ^= 1 << bit;
        match Checkpoint::from_bytes(flipped) {
            Ok(checkpoint) => {
                let key = manifest::keys().iter().find(|key| key.used).unwrap();
                prop_assert_eq!(checkpoint.tensor(key.name, &key.shape).unwrap(), values(key));
            }
            Err(error) => prop_assert_eq!(error.code(), "checkpoint_invalid", "{}", error),
        }
    }
}
