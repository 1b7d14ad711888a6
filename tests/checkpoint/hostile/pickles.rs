//! Pickles that torch.save would not write, in zips that it would.

use tinysam::checkpoint::{TensorFile, limits};
use zip::CompressionMethod;

use super::{cheap_refusal, seen, small_dict, with_pickle};
use crate::memory::peak_of;
use crate::torch_writer::{StateDict, Storage, zip_of};
use crate::{assert_says, refusal};

/// Where a value goes that is to be read whatever it is: the first of the dict.
fn pickle_with(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\x00\x00\x00a", value, b"s."].concat()
}

#[test]
fn nothing_is_ever_called() {
    for (call, name) in [
        (&b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R"[..], "os.system"),
        (b"cposix\nsystem\n", "posix.system"),
        (b"c__builtin__\neval\n", "__builtin__.eval"),
        (b"cbuiltins\nexec\n", "builtins.exec"),
        (b"ctorch._utils\n_rebuild_parameter\n", "torch._utils._rebuild_parameter"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ccollections\nOrderedDict.fromkeys\n", "collections.OrderedDict.fromkeys"),
        (b"ctorch\nDoubleStorage\n", "torch.DoubleStorage"),
        (b"c\n\n", "\".\""),
    ] {
        assert_says(&cheap_refusal(with_pickle(pickle_with(call))), &[name, "state dict"]);
    }
}

#[test]
fn every_other_opcode_is_refused_by_its_number() {
    let known = b"\x80.(N\x88\x89JKM\x8aX)t\x85\x86\x87}sucRbQhjqr";
    let mut refused = 0;
    for opcode in (0..=255u8).filter(|opcode| !known.contains(opcode)) {
        let message = cheap_refusal(with_pickle(pickle_with(&[opcode])));
        assert_says(&message, &[&format!("{opcode:#04x}"), "torch.save"]);
        refused += 1;
    }
    assert_eq!(refused, 256 - known.len());
    // INST, OBJ, NEWOBJ, EXT1 and STACK_GLOBAL among them, the other ways to call.
    assert!(b"io\x81\x82\x93".iter().all(|opcode| !known.contains(opcode)));
}

#[test]
fn other_protocols_are_refused() {
    for version in [0, 1, 3, 4, 5, 255] {
        let mut pickle = small_dict().pickle();
        pickle[1] = version;
        assert_says(&cheap_refusal(with_pickle(pickle)), &["protocol"]);
    }
}

#[test]
fn calls_with_other_arguments() {
    for value in [
        // A dict from items, a call of a type, of a text, of a tensor's maker without and with wrong arguments.
        &b"ccollections\nOrderedDict\n)\x85R"[..],
        b"ctorch\nFloatStorage\n)R",
        b"X\x01\x00\x00\x00a)R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_tensor_v2\n(K\x00K\x00))\x89}tR",
        b"ccollections\nOrderedDict\nNR",
        // Attributes, persistent ids.
        b"}}b",
        b"}}X\x01\x00\x00\x00xK\x01sb",
        b"}Nb",
        b"K\x01}b",
        b"K\x00Q",
        b")Q",
        b"(X\x06\x00\x00\x00moduleNNt Q",
        // Groups that do not fit.
        b"t",
        b"u",
        b"(K\x01u",
        b"\x85",
        b"\x87",
        b"((t",
        b"s",
        b"K\x01q\x00h\x01",
        b"j\xff\xff\xff\xff",
        b"q\x00",
        b"X\xff\xff\xff\xff",
        b"X\x02\x00\x00\x00\xff\xfe",
        b"\x8a\xff\x01",
        b"\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        b"cnoend",
        // What is under a mark cannot be reached.
        b"(q\x00",
        b"K\x01(\x85",
    ] {
        assert_says(&cheap_refusal(with_pickle(pickle_with(value))), &["pickle"]);
    }
    for whole in [
        &b"\x80\x02."[..],
        b"\x80\x02N.",
        b"\x80\x02K\x01K\x01.",
        b"\x80\x02(}.",
        b".",
        // Attributes for, and items into, a dict that lies under a mark.
        b"\x80\x02}(}X\x09\x00\x00\x00_metadata}sbu.",
        b"\x80\x02}}(X\x09\x00\x00\x00_metadata}sub.",
    ] {
        assert_says(&cheap_refusal(with_pickle(whole.to_vec())), &["pickle"]);
    }
}

#[test]
fn dicts_that_are_not_of_tensors() {
    for (value, word) in [(&b"K\x01"[..], "\"a\""), (b"}", "\"a\""), (b")", "\"a\""), (b"N", "\"a\"")] {
        assert_says(&cheap_refusal(with_pickle(pickle_with(value))), &[word, "not a tensor"]);
    }
    let by_number = b"\x80\x02}K\x01Ns.".to_vec();
    assert_says(&cheap_refusal(with_pickle(by_number)), &["other than text"]);
}

#[test]
fn values_that_hold_themselves() {
    // d = {}; d["a"] = d, and the same through tuples and `_metadata`.
    cheap_refusal(with_pickle(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.".to_vec()));
    cheap_refusal(with_pickle(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00\x85q\x01s.".to_vec()));
    let itself = b"\x80\x02}q\x00}X\x09\x00\x00\x00_metadatah\x00sb.".to_vec();
    assert_eq!(seen(with_pickle(itself)), Some(Vec::new()));
}

#[test]
fn deep_and_long_pickles() {
    let deep = [b"\x80\x02".to_vec(), vec![b'('; 900_000], vec![b't'; 100_000], b".".to_vec()].concat();
    let nested = [b"\x80\x02)".to_vec(), vec![0x85; 900_000], b".".to_vec()].concat();
    let wide = [b"\x80\x02(".to_vec(), vec![b'N'; 900_000], b"t.".to_vec()].concat();
    let calls = [b"\x80\x02".to_vec(), b"ccollections\nOrderedDict\n)R".repeat(30_000), b".".to_vec()].concat();
    for pickle in [deep, nested, wide, calls] {
        let (message, peak) = peak_of(|| refusal(with_pickle(pickle)));
        assert!(peak < 128 << 20, "{peak} bytes for: {message}");
    }
    let long = vec![b'N'; limits::HEADER + 1];
    assert_says(&refusal(with_pickle(long)), &["data.pkl", "beyond"]);
}

#[test]
fn tensors_outside_their_storage() {
    let huge = 0x7fff_ffff;
    for (offset, shape, strides) in [
        (1, vec![2, 3], vec![3, 1]),
        (7, vec![], vec![]),
        (0, vec![7], vec![1]),
        (0, vec![2, 3], vec![4, 1]),
        (0, vec![2, 3], vec![3]),
        (0, vec![2], vec![huge]),
        (huge, vec![2], vec![1]),
        (0, vec![huge, huge, huge, huge], vec![0, 0, 0, 0]),
        (0, vec![huge, huge, huge, huge], vec![huge, huge, huge, huge]),
        (0, vec![huge], vec![0]),
        (0, vec![1; 9], vec![1; 9]),
    ] {
        let mut dict = StateDict::new();
        dict.storages.push(Storage::f32(&[0.0; 6]));
        dict.view("t", offset, &shape, &strides);
        cheap_refusal(dict.file());
    }
}

#[test]
fn numbers_beyond_any_file() {
    // As `small_dict`'s first tensor, with a LONG1 in the place of each number.
    let tensor = |len: &[u8], offset: &[u8], side: &[u8]| {
        pickle_with(
            &[
                &b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"[..],
                b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
                len,
                b"tQ",
                offset,
                side,
                b"\x85K\x01\x85\x89}tR",
            ]
            .concat(),
        )
    };
    assert!(seen(with_pickle(tensor(b"K\x06", b"K\x00", b"\x8a\x01\x06"))).is_some());
    let max = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let minus = b"\x8a\x01\xff";
    let least = b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80";
    for bad in [&max[..], minus, least, b"J\xff\xff\xff\xff", b"N", b"\x88"] {
        cheap_refusal(with_pickle(tensor(bad, b"K\x00", b"K\x06")));
        cheap_refusal(with_pickle(tensor(b"K\x06", bad, b"K\x06")));
        cheap_refusal(with_pickle(tensor(b"K\x06", b"K\x00", bad)));
    }
}

#[test]
fn storages_that_do_not_fit() {
    // Longer than its entry, of another type, absent, named like a path.
    let mut dict = small_dict();
    dict.storages[0].len = 7;
    assert_says(&cheap_refusal(dict.file()), &["\"a\"", "24 bytes"]);
    let mut dict = small_dict();
    dict.storages[0].kind = "LongStorage";
    cheap_refusal(dict.file());
    let mut entries = small_dict().entries();
    entries.remove(2);
    let message = cheap_refusal(zip_of(&entries, CompressionMethod::Stored));
    assert_says(&message, &["\"a\"", "not in the file"]);

    // One storage described in two ways.
    let mut dict = small_dict();
    dict.tensors.push(dict.tensors[0].clone());
    dict.tensors[2].name = "c".to_owned();
    let pickle = dict.pickle();
    assert!(seen(with_pickle(pickle.clone())).is_some());
    let at = pickle.windows(2).rposition(|w| w == b"K\x06").unwrap();
    let mut two_ways = pickle;
    two_ways[at + 1] = 5;
    assert_says(&cheap_refusal(with_pickle(two_ways)), &["two ways"]);
}

#[test]
fn a_name_twice() {
    let mut dict = small_dict();
    dict.tensors[1].name = "a".to_owned();
    assert_says(&cheap_refusal(dict.file()), &["\"a\"", "twice"]);
}

#[test]
fn names_and_numbers_of_tensors_are_bounded() {
    let mut dict = small_dict();
    dict.tensors[0].name = "n".repeat(limits::NAME + 1);
    assert_says(&cheap_refusal(dict.file()), &["name"]);
    let mut dict = StateDict::new();
    dict.storages.push(Storage::f32(&[0.0]));
    for i in 0..=limits::TENSORS {
        dict.view(&i.to_string(), 0, &[], &[]);
    }
    assert_says(&refusal(dict.file()), &["4097"]);
    dict.tensors.pop();
    assert!(TensorFile::from_bytes(dict.file()).is_ok());
}
