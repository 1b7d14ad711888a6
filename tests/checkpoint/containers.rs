//! Files of named tensors, whatever the network: PyTorch's own, and those of a writer of the same layout.

use proptest::prelude::*;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use tinysam::checkpoint::{Dtype, TensorFile};
use zip::CompressionMethod;

use crate::torch_writer::{StateDict, Storage, row_major, zip_of};
use crate::{assert_says, fixture, refusal};

/// 0, 1/8, 2/8, …: the values of the fixtures.
fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 8.0).collect()
}

fn bytes_of<const N: usize>(count: usize, element: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    ramp(count).into_iter().flat_map(element).collect()
}

/// What make_torch_fixture.py puts into torch_kinds.pth.
fn kinds() -> StateDict {
    let mut dict = StateDict::new();
    dict.push("f32", &[2, 3, 4], Storage::f32(&ramp(24)));
    let half = Storage { kind: "HalfStorage", len: 5, data: bytes_of(5, |v| half::f16::from_f32(v).to_le_bytes()) };
    dict.push("f16", &[5], half);
    let bfloat =
        Storage { kind: "BFloat16Storage", len: 7, data: bytes_of(7, |v| half::bf16::from_f32(v).to_le_bytes()) };
    dict.push("bf16", &[7], bfloat);
    dict.push("counter", &[], Storage::i64(&[70_000_000_000]));
    dict.push("scalar", &[], Storage::f32(&[2.5]));
    dict.push("empty", &[0, 3], Storage::f32(&[]));
    dict.storages.push(Storage::f32(&ramp(24)));
    dict.view("shared.row", 6, &[6], &[1]);
    dict.view("shared.transposed", 0, &[6, 4], &[1, 6]);
    dict.view("shared.block", 7, &[3, 3], &[6, 2]);
    let nhwc: Vec<f32> = (0..2)
        .flat_map(|n| (0..4).flat_map(move |hw| (0..3).map(move |c| (n * 12 + c * 4 + hw) as f32 / 8.0)))
        .collect();
    dict.storages.push(Storage::f32(&nhwc));
    dict.view("channels_last", 0, &[2, 3, 2, 2], &[12, 1, 6, 3]);
    dict.storages.push(Storage::f32(&[1.0, 2.0]));
    dict.view("expanded", 0, &[3, 2], &[0, 1]);
    dict
}

/// Checks every tensor of torch_kinds.pth.
#[track_caller]
fn assert_kinds(bytes: Vec<u8>) {
    let file = TensorFile::from_bytes(bytes).unwrap();
    let values = |name: &str| file.values(name).unwrap();
    assert_eq!(file.names().count(), 11);
    assert_eq!(file.info("f32"), Some((Dtype::F32, &[2, 3, 4][..])));
    assert_eq!(values("f32"), ramp(24));
    assert_eq!(file.info("f16"), Some((Dtype::F16, &[5][..])));
    assert_eq!(values("f16"), ramp(5));
    assert_eq!(file.info("bf16"), Some((Dtype::Bf16, &[7][..])));
    assert_eq!(values("bf16"), ramp(7));
    assert_eq!(file.info("counter"), Some((Dtype::I64, &[][..])));
    assert_eq!(*file.raw("counter").unwrap(), 70_000_000_000i64.to_le_bytes());
    assert_eq!(file.info("scalar"), Some((Dtype::F32, &[][..])));
    assert_eq!(values("scalar"), [2.5]);
    assert_eq!(file.info("empty"), Some((Dtype::F32, &[0, 3][..])));
    assert!(values("empty").is_empty());
    assert_eq!(values("shared.row"), ramp(24)[6..12]);
    let transposed: Vec<f32> = (0..24).map(|i| (i % 4 * 6 + i / 4) as f32 / 8.0).collect();
    assert_eq!(file.info("shared.transposed"), Some((Dtype::F32, &[6, 4][..])));
    assert_eq!(values("shared.transposed"), transposed);
    assert_eq!(values("shared.block"), [7, 9, 11, 13, 15, 17, 19, 21, 23].map(|i| i as f32 / 8.0));
    assert_eq!(values("channels_last"), ramp(24));
    assert_eq!(values("expanded"), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    // A counter is no weight, and what is not there is named.
    assert_eq!(file.values("counter").unwrap_err().code(), "checkpoint_mismatch");
    let missing = file.values("nowhere").unwrap_err();
    assert_eq!(missing.code(), "checkpoint_mismatch");
    assert_says(&missing.to_string(), &["nowhere"]);
}

#[test]
fn every_kind_of_tensor_that_pytorch_writes() {
    assert_kinds(fixture("torch_kinds.pth"));
}

#[test]
fn a_modules_state_dict_with_metadata() {
    let file = TensorFile::from_bytes(fixture("torch_module.pth")).unwrap();
    let names: Vec<_> = file.names().collect();
    assert_eq!(names, ["0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight"]);
    assert_eq!(file.info("0.weight"), Some((Dtype::F32, &[2, 1, 3, 3][..])));
    assert_eq!(file.values("1.running_var").unwrap(), [1.0, 1.0]);
    assert_eq!(*file.raw("1.num_batches_tracked").unwrap(), 0i64.to_le_bytes());
}

#[test]
fn our_writer_writes_pytorchs_pickle() {
    fn pickle_in(name: &str) -> Vec<u8> {
        let mut zip = zip::ZipArchive::new(Cursor::new(fixture(name))).unwrap();
        let mut pickle = Vec::new();
        let folder = name.split('.').next().unwrap();
        let mut entry = zip.by_name(&format!("{folder}/data.pkl")).unwrap();
        entry.read_to_end(&mut pickle).unwrap();
        pickle
    }
    assert_eq!(kinds().pickle(), pickle_in("torch_kinds.pth"));

    let mut module = StateDict::new();
    module.push("0.weight", &[2, 1, 3, 3], Storage::f32(&[0.0; 18]));
    for name in ["1.weight", "1.bias", "1.running_mean", "1.running_var"] {
        module.push(name, &[2], Storage::f32(&[0.0; 2]));
    }
    module.push("1.num_batches_tracked", &[], Storage::i64(&[0]));
    module.metadata = Some(vec![("", 1), ("0", 1), ("1", 2)]);
    assert_eq!(module.pickle(), pickle_in("torch_module.pth"));
    module.protocol = 4;
    assert_eq!(module.pickle(), pickle_in("torch_protocol4.pth"));

    let mut parameter = StateDict::new();
    parameter.parameters = true;
    parameter.push("w", &[2], Storage::f32(&ramp(2)));
    assert_eq!(parameter.pickle(), pickle_in("torch_parameter.pth"));
}

#[test]
fn our_writers_file_reads_as_pytorchs() {
    assert_kinds(kinds().file());
}

#[test]
fn a_cuda_location_is_ignored() {
    let mut dict = kinds();
    dict.location = "cuda:0";
    let file = dict.file();
    assert!(file.windows(6).any(|w| w == b"cuda:0"));
    assert_kinds(file);
}

#[test]
fn a_file_zipped_again_is_inflated() {
    assert_kinds(zip_of(&kinds().entries(), CompressionMethod::Deflated));
}

#[test]
fn a_single_tensor_is_a_dict_too() {
    let mut dict = StateDict::new();
    dict.push("w", &[2], Storage::f32(&[1.0, -1.0]));
    let file = TensorFile::from_bytes(dict.file()).unwrap();
    assert_eq!(file.values("w").unwrap(), [1.0, -1.0]);
}

#[test]
fn what_pytorch_writes_otherwise_is_refused_with_advice() {
    for (name, words) in [
        ("torch_legacy.pth", &["old format", "torch.save"][..]),
        ("torch_module_object.pth", &["torch.nn.modules.linear.Linear", "state_dict()"]),
        ("torch_script.pt", &["TorchScript", "state_dict()"]),
        ("torch_quantized.pth", &["QInt8Storage", "state_dict()", "float32"]),
        ("torch_sparse.pth", &["_get_layout", "state_dict()"]),
        ("torch_float8.pth", &["UntypedStorage", "state_dict()", "float32"]),
    ] {
        assert_says(&refusal(fixture(name)), words);
    }
    // The old format by the newer protocols of pickle, which people choose for large files.
    const NUMBER: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    for start in [&b"\x80\x03"[..], b"\x80\x04\x95\x0d\0\0\0\0\0\0\0"] {
        assert_says(&refusal([start, NUMBER, b"\x80\x04M\xe9\x03."].concat()), &["old format", "torch.save"]);
    }
    assert_says(&refusal(b"\x80\x04N.".to_vec()), &["pickle", "torch.save"]);
}

#[test]
fn tensors_of_dicts_within_the_dict_have_its_name() {
    let file = TensorFile::from_bytes(fixture("torch_nested.pth")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["model.w"]);
    assert_eq!(file.dicts().collect::<Vec<_>>(), ["model."]);
    assert_eq!(file.values("model.w").unwrap(), ramp(2));
}

/// An optimiser, schedules, a gradient scaler, generators' states, arguments, NumPy's numbers: all that PyTorch's
/// examples and their heirs put beside the weights. In both protocols that people choose.
#[test]
fn a_training_scripts_file_is_read_for_its_tensors() {
    for name in ["torch_training.pth", "torch_training4.pth"] {
        let file = TensorFile::from_bytes(fixture(name)).unwrap();
        let weights = ["0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight"];
        let (inner, rest): (Vec<_>, Vec<_>) = file.names().partition(|name| name.starts_with("model."));
        assert_eq!(inner, weights.map(|weight| format!("model.{weight}")), "{name}");
        assert_eq!(rest, ["best", "rng"], "{name}");
        assert_eq!(file.info("rng").unwrap().0, Dtype::U8);
        assert_eq!(file.dicts().collect::<Vec<_>>(), ["model."]);
        assert_eq!(file.values("model.1.running_var").unwrap(), [1.0, 1.0]);
    }
}

#[test]
fn parameters_are_tensors() {
    let file = TensorFile::from_bytes(fixture("torch_parameter.pth")).unwrap();
    assert_eq!(file.values("w").unwrap(), ramp(2));
}

#[test]
fn doubles_are_read_as_the_nearest_floats() {
    let file = TensorFile::from_bytes(fixture("torch_double.pth")).unwrap();
    assert_eq!(file.info("w"), Some((Dtype::F64, &[2][..])));
    assert_eq!(file.values("w").unwrap(), ramp(2));

    let values = [1.0 / 3.0, -1e-300, 16_777_217.0];
    let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let file = |values: &[f64]| safetensors_of(&[("w", safetensors::Dtype::F64, vec![values.len()], bytes(values))]);
    let file_of = |values: &[f64]| TensorFile::from_bytes(file(values)).unwrap();
    assert_eq!(file_of(&values).values("w").unwrap(), values.map(|v| v as f32));
    // Beyond what an f32 holds is not a number that can be used.
    let error = file_of(&[0.0, 1e39]).values("w").unwrap_err();
    assert_says(&error.to_string(), &["element 1", "inf"]);
}

#[test]
fn a_repeated_value_takes_no_more_than_it_may() {
    let repeated = |count: usize| {
        let mut dict = StateDict::new();
        dict.storages.push(Storage::f32(&[1.0]));
        dict.view("t", 0, &[count], &[0]);
        dict.file()
    };
    let file = TensorFile::from_bytes(repeated(1 << 20)).unwrap();
    assert_eq!(file.values("t").unwrap(), vec![1.0; 1 << 20]);
    assert_says(&refusal(repeated((1 << 20) + 1)), &["\"t\"", "contiguous"]);
}

#[test]
fn strangers_are_told_apart() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x89PNG\r\n\x1a\n0123456789", "neither"),
        (b"\x93NUMPY\x01\x00", "neither"),
        (b"PK", "neither"),
        (b"\x80\x04\x95\x0c\0\0\0\0\0\0\0}\x94.", "torch.save did not write"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (&[&[0; 257][..], b"ustar\x0000"].concat(), "tar"),
        (b"GGUF\x03\0\0\0", ".gguf"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.5.1", ".onnx"),
    ] {
        assert_says(&refusal(bytes.to_vec()), &[word]);
    }
}

#[test]
fn big_endian_is_refused() {
    let mut entries = kinds().entries();
    entries[1].1 = b"big".to_vec();
    assert_says(&refusal(zip_of(&entries, CompressionMethod::Stored)), &["big-endian"]);
    // Files from before PyTorch 2.1 do not say.
    entries.remove(1);
    assert_kinds(zip_of(&entries, CompressionMethod::Stored));
}

/// A `.safetensors` of these tensors.
pub fn safetensors_of(tensors: &[(&str, safetensors::Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views =
        tensors.iter().map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

/// One tensor of each type.
pub fn small_safetensors() -> Vec<u8> {
    use safetensors::Dtype::*;
    safetensors_of(&[
        ("f32", F32, vec![2, 3, 4], bytes_of(24, f32::to_le_bytes)),
        ("f16", F16, vec![5], bytes_of(5, |v| half::f16::from_f32(v).to_le_bytes())),
        ("bf16", BF16, vec![7], bytes_of(7, |v| half::bf16::from_f32(v).to_le_bytes())),
        ("counter", I64, vec![], 7i64.to_le_bytes().to_vec()),
    ])
}

#[test]
fn safetensors_of_every_type() {
    let file = TensorFile::from_bytes(small_safetensors()).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["bf16", "counter", "f16", "f32"]);
    assert_eq!(file.info("f32"), Some((Dtype::F32, &[2, 3, 4][..])));
    assert_eq!(file.values("f32").unwrap(), ramp(24));
    assert_eq!(file.values("f16").unwrap(), ramp(5));
    assert_eq!(file.values("bf16").unwrap(), ramp(7));
    assert_eq!(*file.raw("counter").unwrap(), 7i64.to_le_bytes());
}

#[test]
fn other_types_are_no_weights() {
    use safetensors::Dtype::*;
    for (dtype, word) in
        [(U8, "uint8"), (BOOL, "bool"), (I32, "int32"), (I16, "int16"), (F8_E4M3, "float8"), (U32, "uint32")]
    {
        let data = vec![0; dtype.bitsize() / 8];
        let file = TensorFile::from_bytes(safetensors_of(&[("strange", dtype, vec![1], data)])).unwrap();
        let error = file.values("strange").unwrap_err();
        assert_eq!(error.code(), "checkpoint_mismatch");
        assert_says(&error.to_string(), &["strange", word]);
    }
}

#[test]
fn infinities_and_nans_are_refused_where_they_are_read() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut dict = StateDict::new();
        dict.push("good", &[2], Storage::f32(&[1.0, f32::MAX]));
        dict.push("bad", &[2], Storage::f32(&[1.0, bad]));
        let file = TensorFile::from_bytes(dict.file()).unwrap();
        assert_eq!(file.values("good").unwrap(), [1.0, f32::MAX]);
        let error = file.values("bad").unwrap_err();
        assert_eq!(error.code(), "checkpoint_invalid");
        assert_says(&error.to_string(), &["\"bad\"", "element 1"]);
    }
}

proptest! {
    /// Any view of any storage reads as indexing says, or is refused if it leaves the storage.
    #[test]
    fn any_view_of_a_storage(
        shape in prop::collection::vec(0usize..5, 0..4),
        strides in prop::collection::vec(0usize..7, 4),
        offset in 0usize..20,
        len in 0usize..60,
    ) {
        let strides = &strides[..shape.len()];
        let storage = ramp(len);
        let mut dict = StateDict::new();
        dict.storages.push(Storage::f32(&storage));
        dict.view("v", offset, &shape, strides);

        let mut wanted = Some(Vec::new());
        let count: usize = shape.iter().product();
        for flat in 0..count {
            let (mut rest, mut at) = (flat, offset);
            for (side, stride) in shape.iter().zip(strides).rev() {
                at += rest % side * stride;
                rest /= side;
            }
            wanted = wanted.and_then(|mut w: Vec<f32>| { w.push(*storage.get(at)?); Some(w) });
        }
        if count == 0 && offset > len {
            wanted = None;
        }
        match (TensorFile::from_bytes(dict.file()), wanted) {
            (Ok(file), Some(wanted)) => prop_assert_eq!(file.values("v").unwrap(), wanted),
            (Err(error), None) => prop_assert_eq!(error.code(), "checkpoint_invalid"),
            (Ok(_), None) => prop_assert!(false, "read outside the storage"),
            (Err(error), Some(_)) => prop_assert!(false, "{}", error),
        }
    }

    /// Shapes of any size, row-major, in every float type.
    #[test]
    fn values_come_back(shape in prop::collection::vec(1usize..6, 0..5), seed in 0u32..1000) {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count as u32).map(|i| ((i * 37 + seed) % 255) as f32 - 127.0).collect();
        let mut dict = StateDict::new();
        dict.push("v", &shape, Storage::f32(&values));
        prop_assert_eq!(&dict.tensors[0].strides, &row_major(&shape));
        let file = TensorFile::from_bytes(dict.file()).unwrap();
        prop_assert_eq!(file.values("v").unwrap(), values.clone());

        let f16 = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let bf16 = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        let bytes = safetensors_of(&[
            ("f16", safetensors::Dtype::F16, shape.clone(), f16),
            ("bf16", safetensors::Dtype::BF16, shape.clone(), bf16),
        ]);
        let file = TensorFile::from_bytes(bytes).unwrap();
        prop_assert_eq!(file.values("f16").unwrap(), values.clone());
        prop_assert_eq!(file.values("bf16").unwrap(), values);
    }
}
