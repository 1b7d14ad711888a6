//! Zips whose directory lies, or that unpack to more than they should.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{SMALL, cheap_refusal, seen, small_dict};
use crate::memory::peak_of;
use crate::torch_writer::{StateDict, Storage, zip_of};
use crate::{assert_says, fixture, refusal};

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
    assert_says(&cheap_refusal(bomb("archive/data.pkl", 3)), &["other values"]);
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

#[test]
fn directories_are_bounded() {
    let mut entries = small_dict().entries();
    entries.extend((0..9000).map(|i| (format!("archive/{i:0120}"), Vec::new())));
    let bytes = zip_of(&entries, CompressionMethod::Stored);
    assert_says(&cheap_refusal(bytes), &["directory claims"]);
}
