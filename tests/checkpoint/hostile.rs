//! Files that are damaged or mean harm: each is refused with a typed error, without a panic and without memory beyond
//! what its bytes justify.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use tinysam::checkpoint::{TensorFile, limits};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::containers::small_safetensors;
use crate::memory::peak_of;
use crate::torch_writer::{StateDict, Storage, zip_of};
use crate::{assert_says, fixture, refusal};

/// What reading a small file may cost, refused or not.
const SMALL: usize = 4 << 20;

/// A small file refused, at a small price.
#[track_caller]
fn cheap_refusal(bytes: Vec<u8>) -> String {
    assert!(bytes.len() < SMALL);
    let (message, peak) = peak_of(|| refusal(bytes));
    assert!(peak < SMALL, "{peak} bytes for: {message}");
    message
}

/// A tensor's name, shape and elements.
type Seen = (String, Vec<usize>, Vec<u8>);

/// Everything a reader could see of a file. `None` if it is refused as it must be.
#[track_caller]
fn seen(bytes: Vec<u8>) -> Option<Vec<Seen>> {
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

fn small_dict() -> StateDict {
    let mut dict = StateDict::new();
    dict.push("a", &[2, 3], Storage::f32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    dict.push("b", &[], Storage::i64(&[7]));
    dict
}

/// A file with this pickle and the storages of `small_dict`.
fn with_pickle(pickle: Vec<u8>) -> Vec<u8> {
    let mut entries = small_dict().entries();
    entries[0].1 = pickle;
    zip_of(&entries, CompressionMethod::Stored)
}

// ---------------------------------------------------------------- cut off

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

#[test]
fn anything_after_the_end() {
    let mut bytes = fixture("torch_kinds.pth");
    bytes.push(0);
    assert_says(&cheap_refusal(bytes), &["cut off"]);
    let mut pickle = small_dict().pickle();
    pickle.push(b'.');
    cheap_refusal(with_pickle(pickle));
}

// ---------------------------------------------------------------- flipped bits

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

// ---------------------------------------------------------------- pickles

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
    for whole in [&b"\x80\x02."[..], b"\x80\x02N.", b"\x80\x02K\x01K\x01.", b"\x80\x02(}.", b"."] {
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

// ---------------------------------------------------------------- zips

/// Overwrites a field of an entry's central header, `at` bytes from its start.
fn patch_central(bytes: &mut [u8], name: &str, at: usize, value: &[u8]) {
    let header = (0..bytes.len() - 46 - name.len())
        .find(|&i| bytes[i..].starts_with(b"PK\x01\x02") && bytes[i + 46..].starts_with(name.as_bytes()))
        .unwrap();
    bytes[header + at..header + at + value.len()].copy_from_slice(value);
}

const PACKED_SIZE: usize = 20;
const SIZE: usize = 24;
const OFFSET: usize = 42;

#[test]
fn entries_that_lie_about_their_size() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = zip_of(&small_dict().entries(), method);
        let whole = seen(bytes.clone());
        // Deflated data says itself where it ends: a lie about that is without effect.
        let read_or_refused = |lie| assert!(seen(lie).is_none_or(|seen| Some(seen) == whole));
        for name in ["archive/data.pkl", "archive/data/0"] {
            for size in [0u32, 1, 23, 25, 1 << 20, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff] {
                let mut lie = bytes.clone();
                patch_central(&mut lie, name, PACKED_SIZE, &size.to_le_bytes());
                read_or_refused(lie.clone());
                patch_central(&mut lie, name, SIZE, &size.to_le_bytes());
                cheap_refusal(lie);
                let mut lie = bytes.clone();
                patch_central(&mut lie, name, SIZE, &size.to_le_bytes());
                cheap_refusal(lie);
            }
        }
    }
}

#[test]
fn entries_that_lie_about_their_place() {
    let bytes = small_dict().file();
    for offset in [1u32, 30, bytes.len() as u32, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff] {
        let mut lie = bytes.clone();
        patch_central(&mut lie, "archive/data/0", OFFSET, &offset.to_le_bytes());
        cheap_refusal(lie);
    }
}

/// A zip whose entry `name` is `count` MiB of zeros, deflated a thousandfold.
fn bomb(name: &str, count: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (entry, data) in small_dict().entries() {
        zip.start_file(entry.as_str(), options).unwrap();
        if entry == name {
            let mebibyte = vec![0; 1 << 20];
            for _ in 0..count {
                zip.write_all(&mebibyte).unwrap();
            }
        } else {
            zip.write_all(&data).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn bombs_do_not_go_off() {
    let storage = bomb("archive/data/0", 257);
    assert!(storage.len() < 1 << 20);
    assert_says(&cheap_refusal(storage.clone()), &["data/0", "beyond"]);
    // Saying it is small does not help it.
    for size in [24u32, 1 << 20] {
        let mut lie = storage.clone();
        patch_central(&mut lie, "archive/data/0", SIZE, &size.to_le_bytes());
        cheap_refusal(lie);
    }
    assert_says(&cheap_refusal(bomb("archive/data.pkl", 2)), &["data.pkl", "beyond"]);
}

#[test]
fn many_entries_are_bounded_together() {
    // 300 storages, each a view of the same 1 MiB of the zip: small as a file, 300 MiB to read.
    let mut dict = StateDict::new();
    dict.storages = vec![Storage::f32(&vec![0.0; 1 << 18])];
    dict.view("t0", 0, &[], &[]);
    let mut entries = dict.entries();
    for i in 1..300 {
        let mut tensor = dict.tensors[0].clone();
        tensor.name = format!("t{i}");
        tensor.storage = i;
        dict.tensors.push(tensor);
        dict.storages.push(Storage { data: Vec::new(), ..dict.storages[0].clone() });
        entries.push((format!("archive/data/{i}"), Vec::new()));
    }
    entries[0].1 = dict.pickle();
    let mut bytes = zip_of(&entries, CompressionMethod::Stored);
    let name = b"archive/data/0";
    let header = (0..bytes.len()).find(|&i| bytes[i..].starts_with(b"PK\x01\x02") && bytes[i + 46..].starts_with(name));
    let header = header.unwrap();
    let place: [u8; 30] = bytes[header + 16..header + 46].try_into().unwrap();
    for i in 1..300 {
        let name = format!("archive/data/{i}");
        patch_central(&mut bytes, &name, 16, &place[..12]);
        patch_central(&mut bytes, &name, OFFSET, &place[26..]);
    }
    let (message, peak) = peak_of(|| refusal(bytes));
    assert_says(&message, &["beyond"]);
    assert!(peak < SMALL, "{peak} bytes");
}

#[test]
fn two_entries_of_one_name() {
    let mut entries = small_dict().entries();
    entries.push(("archive/data/X".to_owned(), vec![0; 24]));
    let mut bytes = zip_of(&entries, CompressionMethod::Stored);
    for at in 0..bytes.len() - 14 {
        if bytes[at..].starts_with(b"archive/data/X") {
            bytes[at + 13] = b'0';
        }
    }
    assert_says(&cheap_refusal(bytes), &["two entries"]);
    let mut entries = small_dict().entries();
    entries.push(("other/data.pkl".to_owned(), small_dict().pickle()));
    assert_says(&cheap_refusal(zip_of(&entries, CompressionMethod::Stored)), &["two pickles"]);
}

#[test]
fn zips_of_something_else() {
    let other = vec![("word/document.xml".to_owned(), b"<w/>".to_vec())];
    assert_says(&cheap_refusal(zip_of(&other, CompressionMethod::Stored)), &["none that torch.save wrote"]);
    // An empty zip has no first entry.
    let empty = zip_of(&[], CompressionMethod::Stored);
    cheap_refusal(empty);
    // Encrypted, by its flag.
    let mut bytes = small_dict().file();
    patch_central(&mut bytes, "archive/data/0", 8, &[1]);
    cheap_refusal(bytes);
    // Packed in a way that is not read.
    let mut bytes = small_dict().file();
    patch_central(&mut bytes, "archive/data/0", 10, &[12]);
    cheap_refusal(bytes);
}

#[test]
fn directories_that_lie_about_their_size() {
    let real = fixture("torch_kinds.pth");
    let end64 = real.windows(4).position(|w| w == b"PK\x06\x06").unwrap();
    let end = real.len() - 22;
    for value in [0u64, 1, 1 << 20, 1 << 31, 1 << 40, u64::MAX / 46, u64::MAX] {
        // Entries here and in all, the directory's size and place, as zip64 and as zip.
        for at in [24, 32, 40, 48] {
            let mut lie = real.clone();
            lie[end64 + at..end64 + at + 8].copy_from_slice(&value.to_le_bytes());
            cheap_refusal(lie);
        }
        // All at once, so that they agree.
        let mut lie = real.clone();
        for at in [24, 32, 40] {
            lie[end64 + at..end64 + at + 8].copy_from_slice(&value.to_le_bytes());
        }
        cheap_refusal(lie);
    }
    for at in 4..22 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut lie = real.clone();
            lie[end + at] = value;
            seen(lie);
        }
    }
}

// ---------------------------------------------------------------- safetensors

fn header_of(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn headers_of_absurd_lengths() {
    for length in [limits::HEADER as u64 + 1, 100_000_000, u64::MAX - 7, u64::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        assert_says(&cheap_refusal(bytes), &["header claims"]);
    }
}

#[test]
fn headers_that_do_not_fit() {
    let tensor =
        |shape: &str, offsets: &str| format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
    assert!(seen(header_of(&tensor("[2]", "[0,8]"), 8)).is_some());
    let max = u64::MAX;
    for json in [
        tensor("[3]", "[0,8]"),
        tensor("[2]", "[0,4]"),
        tensor("[2]", "[8,0]"),
        tensor("[2]", "[4,12]"),
        tensor("[2]", "[0,1000000000000]"),
        tensor("[4611686018427387904, 4]", "[0,8]"),
        tensor(&format!("[{max}, {max}]"), "[0,8]"),
        tensor(&format!("[{max}, 0]"), &format!("[0,{max}]")),
        tensor("[-2]", "[0,8]"),
        tensor("[2.0]", "[0,8]"),
        tensor("[1,1,1,1,1,1,1,1,2]", "[0,8]"),
        tensor(&format!("[{}]", "1,".repeat(10_000) + "2"), "[0,8]"),
        "{".to_owned(),
        "{}".to_owned(),
        "{\"t\":null}".to_owned(),
        "{\"t\":1}".to_owned(),
        format!("{{\"t\":{}", "[".repeat(100_000)),
        "{\"__metadata__\":{\"a\":1}}".to_owned(),
        "{\u{0}}".to_owned(),
    ] {
        cheap_refusal(header_of(&json, 8));
    }
}

#[test]
fn the_largest_header_costs_little() {
    let most = limits::HEADER - 100;
    for json in [
        format!(r#"{{"t":{{"dtype":"F32","shape":[{}1],"data_offsets":[0,8]}}}}"#, "1,".repeat(most / 2)),
        format!(r#"{{"__metadata__":{{"a":"{}","b":0}}}}"#, "a".repeat(most)),
        format!("{{{}\"t\":0}}", "\"t\":0,".repeat(most / 6)),
        format!("{{\"t\":[{}0]}}", "[],".repeat(most / 3)),
    ] {
        let (message, peak) = peak_of(|| refusal(header_of(&json, 0)));
        assert!(peak < 128 << 20, "{peak} bytes for: {message}");
    }
}

#[test]
fn headers_whose_sizes_add_up_beyond_the_address_space() {
    // Each size is within bounds, their sum and the header's length are not.
    let each = (u64::MAX / 8) / 2 * 2;
    let mut tensors = Vec::new();
    let mut start = 0u64;
    for i in 0..8 {
        let end = start + each;
        tensors.push(format!(r#""t{i}":{{"dtype":"U8","shape":[{each}],"data_offsets":[{start},{end}]}}"#));
        start = end;
    }
    let rest = u64::MAX - start;
    tensors.push(format!(r#""t8":{{"dtype":"U8","shape":[{rest}],"data_offsets":[{start},{}]}}"#, u64::MAX));
    cheap_refusal(header_of(&format!("{{{}}}", tensors.join(",")), 8));
}

#[test]
fn two_tensors_of_one_name_in_a_header() {
    let json = r#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    cheap_refusal(header_of(json, 8));
}

// ---------------------------------------------------------------- chance

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
