//! The network as people save it: in a dict among an optimiser's state and settings, behind a wrapper's name, in
//! another type or layout. And what can be said of it where it cannot be taken.

use safetensors::Dtype;
use tinysam::checkpoint::Checkpoint;
use tinysam::checkpoint::limits;
use tinysam::checkpoint::manifest::{self, Key};

use crate::assert_says;
use crate::containers::safetensors_of;
use crate::memory::peak_of;
use crate::torch_writer::{Saved, StateDict, Storage, Tensor};
use crate::whole::{Stored, assert_whole, mismatch, state_dict, stored, values};

/// An optimiser's state: moments by the number of their parameter, settings in lists and tuples.
fn optimizer() -> Saved {
    // {'state': {0: {'step': 3.0}}, 'param_groups': [{'lr': 0.001, 'betas': (0.9, 0.999), 'params': [0], 'fused':
    // None}]}
    const STATE: &[u8] = b"}(X\x05\0\0\0state}K\0}X\x04\0\0\0stepG\x40\x08\0\0\0\0\0\0ssX\x0c\0\0\0param_groups]}(\
        X\x02\0\0\0lrG\x3f\x50\x62\x4d\xd2\xf1\xa9\xfcX\x05\0\0\0betasG\0\0\0\0\0\0\0\0G\0\0\0\0\0\0\0\0\x86\
        X\x06\0\0\0params](K\0eX\x05\0\0\0fusedNuau";
    Saved::Raw(STATE)
}

/// `argparse.Namespace(lr=1)`
const ARGUMENTS: &[u8] = b"cargparse\nNamespace\n)\x81}X\x02\0\0\0lrK\x01sb";
/// `numpy.float64(0)`, as protocol 2 writes one.
const NUMPY: &[u8] =
    b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\
    \xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbc_codecs\nencode\nX\x08\0\0\0\0\0\0\0\0\0\0\0X\x06\0\0\0latin1\x86R\x86R";
const NUMBER: &[u8] = b"G\x3f\xbe\xb8\x51\xeb\x85\x1e\xb8";

fn dict(items: Vec<(&'static str, Saved)>) -> Vec<u8> {
    Saved::Dict(items).file()
}

fn state() -> Saved {
    Saved::State(state_dict())
}

fn prefixed(prefix: &str) -> StateDict {
    let mut dict = state_dict();
    dict.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
    dict
}

/// Every value another one's, so that it shows which of two is read.
fn shifted() -> Saved {
    let mut dict = state_dict();
    for (key, storage) in manifest::keys().iter().zip(&mut dict.storages).filter(|(key, _)| !key.counter) {
        *storage = Storage::f32(&values(key).iter().map(|v| v + 1.0).collect::<Vec<_>>());
    }
    Saved::State(dict)
}

/// The state dict with the storages that `change` makes of a tensor's.
fn changed(change: impl Fn(&Key) -> Option<Storage>) -> StateDict {
    let mut dict = state_dict();
    for (key, storage) in manifest::keys().iter().zip(&mut dict.storages) {
        if let Some(other) = change(key) {
            *storage = other;
        }
    }
    dict
}

fn of_type<const N: usize>(kind: &'static str, values: &[f32], element: impl Fn(f32) -> [u8; N]) -> Storage {
    Storage { kind, len: values.len(), data: values.iter().flat_map(|v| element(*v)).collect() }
}

fn half(values: &[f32]) -> Storage {
    of_type("HalfStorage", values, |v| half::f16::from_f32(v).to_le_bytes())
}

fn bfloat(values: &[f32]) -> Storage {
    of_type("BFloat16Storage", values, |v| half::bf16::from_f32(v).to_le_bytes())
}

fn double(values: &[f32]) -> Storage {
    of_type("DoubleStorage", values, |v| f64::from(v).to_le_bytes())
}

/// The counter's value, or the tensor's.
fn all_values(key: &Key) -> Vec<f32> {
    if key.counter { vec![100.0] } else { values(key) }
}

/// Matrices and kernels saved as views of their transposes.
fn transposed() -> StateDict {
    let mut dict = state_dict();
    for (tensor, storage) in dict.tensors.iter_mut().zip(&mut dict.storages) {
        let [rows, columns] = *tensor.shape.as_slice() else { continue };
        let (from, size) = (storage.data.clone(), 4);
        storage.data =
            (0..rows * columns).flat_map(|i| from[(i % rows * columns + i / rows) * size..][..size].to_vec()).collect();
        tensor.strides = vec![1, rows];
    }
    dict
}

/// All floats in one storage, as some optimisers keep them.
fn shared() -> StateDict {
    let mut dict = StateDict::new();
    let mut whole = Vec::new();
    for (key, tensor) in manifest::keys().iter().zip(state_dict().tensors).filter(|(key, _)| key.used) {
        dict.tensors.push(Tensor { storage: 0, offset: whole.len(), ..tensor });
        whole.extend(values(key));
    }
    dict.storages.push(Storage::f32(&whole));
    dict
}

fn safetensors(prefix: &str, dtype: Dtype) -> Vec<u8> {
    let tensors: Vec<Stored> = manifest::keys().iter().map(|key| stored(key, dtype)).collect();
    let names: Vec<String> = tensors.iter().map(|(name, ..)| format!("{prefix}{name}")).collect();
    let named: Vec<_> = names.iter().zip(tensors).map(|(name, t)| (name.as_str(), t.1, t.2, t.3)).collect();
    safetensors_of(&named)
}

type Row = (&'static str, &'static str, fn() -> Vec<u8>);

/// What is saved, what it has before its names, and the file.
const LOADS: &[Row] = &[
    ("a state dict", "", || state_dict().file()),
    ("the weights, an optimiser, numbers", "model.", || {
        let number = Saved::Raw(NUMBER);
        dict(vec![("model", state()), ("optimizer", optimizer()), ("epoch", Saved::Raw(b"K\x03")), ("loss", number)])
    }),
    ("PyTorch's tutorial, with schedules and a scaler", "model_state_dict.", || {
        dict(vec![
            ("epoch", Saved::Raw(b"K\x03")),
            ("model_state_dict", state()),
            ("optimizer_state_dict", optimizer()),
            (
                "scheduler",
                Saved::Dict(vec![
                    ("milestones", Saved::Raw(b"ccollections\nCounter\n}\x85R")),
                    ("last", Saved::Raw(b"K\x01")),
                ]),
            ),
            ("scaler", Saved::Dict(vec![("scale", Saved::Raw(NUMBER)), ("growth", Saved::Raw(b"M\xd0\x07"))])),
            ("loss", Saved::Raw(NUMPY)),
        ])
    }),
    ("Lightning", "state_dict.model.", || {
        let mut best = StateDict::new();
        best.push(&format!("/{}/epoch=012.ckpt", "runs".repeat(limits::NAME / 4)), &[], Storage::f32(&[0.87]));
        dict(vec![
            ("epoch", Saved::Raw(b"K\x01")),
            ("pytorch-lightning_version", Saved::Raw(b"X\x05\0\0\x002.1.0")),
            ("state_dict", Saved::State(prefixed("model."))),
            ("loops", Saved::Dict(vec![("fit_loop", Saved::Raw(b"}")), ("validate_loop", Saved::Raw(b"}"))])),
            // Of a callback, named by where it saved what, whose score is a tensor: no name of ours is as long.
            ("callbacks", Saved::State(best)),
            ("optimizer_states", Saved::Raw(b"](}}e")),
            ("hyper_parameters", Saved::Dict(vec![("lr", Saved::Raw(NUMBER)), ("name", Saved::Raw(b"N"))])),
        ])
    }),
    ("the weights alone, in a dict", "model.", || dict(vec![("model", state()), ("epoch", Saved::Raw(b"K\x01"))])),
    ("state_dict", "state_dict.", || dict(vec![("arch", Saved::Raw(b"N")), ("state_dict", state())])),
    ("net", "net.", || dict(vec![("net", state()), ("acc", Saved::Raw(NUMBER))])),
    ("ema", "ema.", || dict(vec![("ema", state()), ("updates", Saved::Raw(b"K\x09"))])),
    ("any other name, in two dicts", "a.b.", || {
        dict(vec![("a", Saved::Dict(vec![("b", state()), ("c", Saved::Raw(b"N"))])), ("d", Saved::Raw(b"N"))])
    }),
    ("the first of two that fit", "model.", || dict(vec![("model", state()), ("model_ema", shifted())])),
    ("the one of two that fits", "ema.", || {
        let mut other = StateDict::new();
        other.push("w", &[2], Storage::f32(&[1.0, 2.0]));
        dict(vec![("discriminator", Saved::State(other)), ("ema", state())])
    }),
    ("DataParallel's, in a dict", "model.module.", || {
        dict(vec![("model", Saved::State(prefixed("module."))), ("epoch", Saved::Raw(b"K\x01"))])
    }),
    ("arguments", "model.", || dict(vec![("model", state()), ("args", Saved::Raw(ARGUMENTS))])),
    ("a dict of each part's state dict", "", || {
        let part = |name: &str| {
            let mut dict = state_dict();
            dict.tensors.retain(|tensor| tensor.name.starts_with(name));
            dict.tensors.iter_mut().for_each(|tensor| drop(tensor.name.drain(..name.len())));
            Saved::State(dict)
        };
        dict(vec![
            ("image_encoder", part("image_encoder.")),
            ("prompt_encoder", part("prompt_encoder.")),
            ("mask_decoder", part("mask_decoder.")),
        ])
    }),
    ("DataParallel's", "module.", || prefixed("module.").file()),
    ("torch.compile's", "_orig_mod.", || prefixed("_orig_mod.").file()),
    ("in more wrappers than anyone has", "a.a.a.a.a.a.a.a.", || prefixed("a.a.a.a.a.a.a.a.").file()),
    ("a field's", "sam.", || prefixed("sam.").file()),
    ("an average's, with its count", "module.", || {
        let mut dict = prefixed("module.");
        dict.push("n_averaged", &[], Storage::i64(&[9]));
        dict.file()
    }),
    ("three wrappers'", "module._orig_mod.model.", || prefixed("module._orig_mod.model.").file()),
    ("DataParallel's .safetensors", "module.", || safetensors("module.", Dtype::F32)),
    ("torch.compile's .safetensors", "_orig_mod.", || safetensors("_orig_mod.", Dtype::F16)),
    ("a field's .safetensors", "sam.", || safetensors("sam.", Dtype::BF16)),
    ("all in half", "", || changed(|key| Some(half(&all_values(key)))).file()),
    ("all in bfloat16", "", || changed(|key| Some(bfloat(&all_values(key)))).file()),
    ("all in float", "", || changed(|key| Some(Storage::f32(&all_values(key)))).file()),
    ("all in double", "", || changed(|key| Some(double(&all_values(key)))).file()),
    ("a double .safetensors", "", || safetensors("", Dtype::F64)),
    ("mixed types", "", || {
        let kinds: [fn(&[f32]) -> Storage; 4] = [half, bfloat, double, Storage::f32];
        changed(|key| (!key.counter).then(|| kinds[key.name.len() % 4](&values(key)))).file()
    }),
    ("int32 counters", "", || {
        let counter = Storage { kind: "IntStorage", len: 1, data: 9i32.to_le_bytes().to_vec() };
        changed(|key| key.counter.then(|| counter.clone())).file()
    }),
    ("parameters", "", || StateDict { parameters: true, ..state_dict() }.file()),
    ("pickle protocol 3", "", || StateDict { protocol: 3, ..state_dict() }.file()),
    ("pickle protocol 4", "", || StateDict { protocol: 4, ..state_dict() }.file()),
    ("pickle protocol 5", "", || StateDict { protocol: 5, ..state_dict() }.file()),
    ("transposed views", "", || transposed().file()),
    ("views of one storage", "", || shared().file()),
    ("a classifier of 21 classes, and none", "", || {
        let mut dict = state_dict();
        dict.tensors.retain(|tensor| tensor.name != "image_encoder.head.bias");
        let head = dict.tensors.iter_mut().find(|tensor| tensor.name == "image_encoder.head.weight").unwrap();
        head.shape[0] = 21;
        dict.file()
    }),
    ("buffers that are made of constants", "", || {
        let mut dict = state_dict();
        dict.push("pixel_mean", &[3, 1, 1], Storage::f32(&[123.675, 116.28, 103.53]));
        dict.push("pixel_std", &[3, 1, 1], Storage::f32(&[58.395, 57.12, 57.375]));
        let indices = Storage::i64(&[0; 49 * 49]);
        dict.push("image_encoder.layers.1.blocks.0.attn.attention_bias_idxs", &[49, 49], indices);
        dict.file()
    }),
];

#[test]
fn what_people_save_loads() {
    for (what, prefix, file) in LOADS {
        let checkpoint = Checkpoint::from_bytes(file()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(checkpoint.prefix(), *prefix, "{what}");
        assert_whole(&checkpoint);
    }
}

#[test]
fn what_stands_beside_the_weights_is_not_kept() {
    let bytes = dict(vec![("model", state()), ("optimizer", optimizer()), ("args", Saved::Raw(ARGUMENTS))]);
    let (checkpoint, peak) = peak_of(|| Checkpoint::from_bytes(bytes));
    assert!(checkpoint.is_ok());
    assert!(peak < 2 << 20, "{peak} bytes beside the file");
}

/// int8 and its scales may be behind a wrapper's name, too.
#[test]
fn int8_behind_a_wrappers_name() {
    let name = "model.mask_decoder.transformer.layers.0.self_attn.q_proj.weight";
    let scale = format!("{name}.scale");
    let tensors: Vec<Stored> =
        manifest::keys().iter().filter(|key| key.used).map(|key| stored(key, Dtype::F16)).collect();
    let names: Vec<String> = tensors.iter().map(|(name, ..)| format!("model.{name}")).collect();
    let mut named: Vec<_> = names.iter().zip(tensors).map(|(name, t)| (name.as_str(), t.1, t.2, t.3)).collect();
    let weight = named.iter_mut().find(|tensor| tensor.0 == name).unwrap();
    (weight.1, weight.3) = (Dtype::I8, vec![255; 256 * 256]);
    named.push((&scale, Dtype::F32, vec![256, 1], 0.5f32.to_le_bytes().repeat(256)));
    let checkpoint = Checkpoint::from_bytes(safetensors_of(&named)).unwrap();
    assert_eq!(checkpoint.prefix(), "model.");
    let found = checkpoint.tensor(name.strip_prefix("model.").unwrap(), &[256, 256]).unwrap();
    assert!(found == vec![-0.5; 256 * 256]);
}

#[test]
fn what_cannot_be_taken_is_told_with_what_to_do() {
    let with = |name: &str, shape: &[usize]| {
        let mut dict = prefixed("");
        dict.push(name, shape, Storage::f32(&vec![0.0; shape.iter().product()]));
        dict
    };
    // An adapter, another tensor.
    let lora = "mask_decoder.transformer.layers.0.self_attn.q_proj.lora_A";
    assert_says(&mismatch(with(lora, &[4, 256]).file()), &[lora, "unknown", "adapter"]);
    let wrapped = dict(vec![("model", Saved::State(with("hq_token.weight", &[1]))), ("epoch", Saved::Raw(b"K\x01"))]);
    assert_says(&mismatch(wrapped), &["\"model.\"", "hq_token.weight", "unknown"]);
    // A part of several, of which each is whole as a file.
    let mut part = state_dict();
    part.tensors.truncate(217);
    assert_says(&mismatch(part.file()), &["missing", "fit: join the parts"]);
    // A wrapper's name before some alone: the others may belong to the network.
    let mut partly = prefixed("net.");
    partly.push("criterion.weight", &[1], Storage::f32(&[0.0]));
    assert_says(&mismatch(partly.file()), &["\"net.\"", "criterion.weight", "save those alone"]);
    // Of two that do not fit, the nearer one is told of.
    let mut near = state_dict();
    near.tensors.retain(|tensor| tensor.name != "mask_decoder.iou_token.weight");
    let mut far = StateDict::new();
    far.push("w", &[2], Storage::f32(&[1.0, 2.0]));
    let two = dict(vec![("far", Saved::State(far)), ("near", Saved::State(near))]);
    assert_says(&mismatch(two), &["\"near.\"", "mask_decoder.iou_token.weight", "missing"]);
    // Weights that are no numbers of a weight's type.
    let name = "mask_decoder.iou_token.weight";
    let bytes = Storage { kind: "ByteStorage", len: 256, data: vec![0; 256] };
    let bytes = changed(|key| (key.name == name).then(|| bytes.clone()));
    assert_says(&mismatch(bytes.file()), &[name, "uint8", "floating-point"]);
}
