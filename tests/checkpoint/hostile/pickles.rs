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
        (b"c__builtin__\neval\nX\x01\x00\x00\x001\x85R", "__builtin__.eval"),
        (b"X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93X\x02\x00\x00\x00ls\x85R", "posix.system"),
        (b"ctorch._utils\n_rebuild_parameters\n)R", "torch._utils._rebuild_parameters"),
        (b"ccollections\nnamedtuple\n)R", "collections.namedtuple"),
        (b"c__builtin__\ngetattr\n)R", "__builtin__.getattr"),
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

/// Beside good tensors, too, whether as a value of its own, in a list that is skipped, or in an object's state.
#[test]
fn nothing_is_called_beside_good_tensors() {
    let call = b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R";
    let with = |value: Vec<u8>| {
        let mut pickle = small_dict().pickle();
        // Before the `u` that ends the dict and the STOP.
        let end = pickle.len() - 2;
        pickle.splice(end..end, [&b"X\x01\x00\x00\x00x"[..], &value].concat());
        with_pickle(pickle)
    };
    let object = b"cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00yK\x01sb";
    for value in [&b"K\x01"[..], b"]", b"](K\x01e", object, b"G\0\0\0\0\0\0\0\0", b"cos\nsystem\n"] {
        let names: Vec<_> = seen(with(value.to_vec())).unwrap().into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }
    for value in [
        call.to_vec(),
        [b"](", &call[..], b"e"].concat(),
        [b"cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00y", &call[..], b"sb"].concat(),
        [b"}X\x01\x00\x00\x00y", &call[..], b"s"].concat(),
    ] {
        assert_says(&cheap_refusal(with(value)), &["os.system", "state dict"]);
    }
}

#[test]
fn every_other_opcode_is_refused_by_its_number() {
    let known = b"\x80\x95.(01N\x88\x89JKM\x8aGX\x8c\x8dBC\x8e\x96)t\x85\x86\x87]ae\x8f\x90\x91}suc\x93R\x81bQhjqr\x94";
    let mut refused = 0;
    for opcode in (0..=255u8).filter(|opcode| !known.contains(opcode)) {
        let message = cheap_refusal(with_pickle(pickle_with(&[opcode])));
        assert_says(&message, &[&format!("{opcode:#04x}"), "torch.save"]);
        refused += 1;
    }
    assert_eq!(refused, 256 - known.len());
    // INST, OBJ, EXT1 and NEWOBJ_EX among them, the other ways to call.
    assert!(b"io\x82\x92".iter().all(|opcode| !known.contains(opcode)));
}

#[test]
fn other_protocols_are_refused() {
    for version in [0, 1, 6, 255] {
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
        b"K\x01(0",
        b"K\x01(1",
        b"](K\x01a",
        // Names, objects and members of what has none.
        b"K\x01X\x01\x00\x00\x00a\x93",
        b"X\x01\x00\x00\x00aK\x01\x93",
        b"K\x01)\x81",
        b"cargparse\nNamespace\n}\x81",
        b"K\x01K\x01a",
        b"}K\x01a",
        b"}(K\x01e",
        b"K\x01(K\x01\x90",
        b"K\x01}b",
        b"ctorch._utils\n_rebuild_parameter\n)R",
        b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88}tR",
        // Lengths of eight bytes.
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8d\x00\x00\x00\x00\x01\x00\x00\x00",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
        b"C\xff",
        b"\x8c\xff",
        b"G\x00",
        b"\x95\x00",
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

/// The names of dicts go before those of their tensors: neither many nor long ones may multiply.
#[test]
fn dicts_within_dicts_are_bounded() {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let mut one = StateDict::new();
    one.push("t", &[], Storage::f32(&[1.0]));
    // Its tensor without the dict around it, to be put into others.
    let pickle = one.pickle();
    let start = pickle.windows(7).position(|w| w == b"ctorch.").unwrap();
    let tensor = &pickle[start..pickle.len() - 2];
    let within = |names: &[&str]| {
        let mut pickle = b"\x80\x02}".to_vec();
        for name in names {
            pickle.extend_from_slice(&text(name));
            pickle.push(b'}');
        }
        // In the memo's first slot it finds OrderedDict.
        pickle.extend_from_slice(b"ccollections\nOrderedDict\nq\x000");
        pickle.extend_from_slice(&[&text("t"), tensor].concat());
        pickle.extend_from_slice(&vec![b's'; names.len() + 1]);
        pickle.push(b'.');
        let mut entries = one.entries();
        entries[0].1 = pickle;
        zip_of(&entries, CompressionMethod::Stored)
    };
    let names = |bytes| seen(bytes).map(|all| all.into_iter().map(|(name, ..)| name).collect::<Vec<_>>());
    assert_eq!(names(within(&[])).unwrap(), ["t"]);
    assert_eq!(names(within(&["a", "b", "c", "d"])).unwrap(), ["a.b.c.d.t"]);
    cheap_refusal(within(&["a", "b", "c", "d", "e"]));
    cheap_refusal(within(&vec!["a"; 10_000]));
    let long = "n".repeat(limits::NAME);
    assert_says(&cheap_refusal(within(&[&long])), &["name"]);
    assert_says(&cheap_refusal(within(&[&format!("{long}n")])), &["dict without tensors"]);
}

#[test]
fn deep_and_long_pickles() {
    let deep = [b"\x80\x02".to_vec(), vec![b'('; 1_900_000], vec![b't'; 190_000], b".".to_vec()].concat();
    let nested = [b"\x80\x02)".to_vec(), vec![0x85; 1_900_000], b".".to_vec()].concat();
    let wide = [b"\x80\x02(".to_vec(), vec![b'N'; 1_900_000], b"t.".to_vec()].concat();
    let memos = [b"\x80\x04N".to_vec(), vec![0x94; 2_000_000], b".".to_vec()].concat();
    let lists = [b"\x80\x02".to_vec(), vec![b']'; 1_000_000], vec![b'a'; 999_999], b".".to_vec()].concat();
    let dicts = [b"\x80\x02}".to_vec(), b"X\0\0\0\0}".repeat(200_000), vec![b's'; 190_000], b".".to_vec()].concat();
    let names = [b"\x80\x02".to_vec(), b"c\n\n".repeat(500_000), b".".to_vec()].concat();
    let calls = [b"\x80\x02".to_vec(), b"ccollections\nOrderedDict\n)R".repeat(60_000), b".".to_vec()].concat();
    for pickle in [deep, nested, wide, memos, lists, dicts, names, calls] {
        let (message, peak) = peak_of(|| refusal(with_pickle(pickle)));
        assert!(peak < 256 << 20, "{peak} bytes for: {message}");
    }
    let long = vec![b'N'; limits::PICKLE + 1];
    assert_says(&cheap_refusal(with_pickle(long)), &["other values", "state_dict()"]);
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
    assert_eq!(seen(dict.file()).unwrap().len(), dict.tensors.len() - 1);
    dict.tensors[0].name.pop();
    assert_eq!(seen(dict.file()).unwrap()[1].0.len(), limits::NAME);
    dict.tensors.truncate(1);
    dict.tensors[0].name.push('n');
    assert_says(&cheap_refusal(dict.file()), &["name", "257"]);
    let mut dict = StateDict::new();
    dict.push("axes", &[1; limits::AXES], Storage::f32(&[1.0]));
    assert_eq!(seen(dict.file()).unwrap()[0].1, [1; limits::AXES]);
    let mut dict = StateDict::new();
    dict.storages.push(Storage::f32(&[0.0]));
    for i in 0..=limits::TENSORS {
        dict.view(&i.to_string(), 0, &[], &[]);
    }
    assert_says(&refusal(dict.file()), &["4097"]);
    dict.tensors.pop();
    assert!(TensorFile::from_bytes(dict.file()).is_ok());
}
