//! Files of tensors: both containers, and each layer of a `.pth` with the one around it put right.

use tinysam::checkpoint::{Checkpoint, TensorFile};

use crate::memory::peak_of;
use crate::zips;

/// Bytes that a file may take beside those that its own bytes justify.
const ROOM: usize = 8 << 20;
/// Bytes for each of the file's: a pickle's opcode becomes a value, and a list of values grows by doubling.
const EACH: usize = 192;
/// Tensors of a file whose values are looked at: each may have a million elements where it repeats one.
const SEEN: usize = 8;

/// A file as it is.
pub fn file(bytes: &[u8]) {
    let (file, peak) = peak_of(|| TensorFile::from_bytes(bytes.to_vec()));
    assert!(peak <= ROOM + EACH * bytes.len(), "{peak} bytes for a file of {}", bytes.len());
    match file {
        Ok(file) => {
            tensors(&file);
            if let Err(error) = Checkpoint::from_bytes(bytes.to_vec()) {
                assert_eq!(error.code(), "checkpoint_mismatch", "{error}");
            }
        }
        Err(error) => assert_eq!(error.code(), "checkpoint_invalid", "{error}"),
    }
}

/// A zip whose checksums are right, so that what is behind them is reached.
pub fn zip(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    zips::put_right(&mut bytes);
    file(&bytes);
}

/// A pickle in a zip, with storages for the tensors that it may describe.
pub fn pickle(pickle: &[u8]) {
    // As long as those of torch_module.pth: a convolution's weights, and of two channels whatever else there is.
    let (long, short) = ([0x3c; 72], [1, 0, 0, 0, 0, 0, 0, 0]);
    let entries: [(&str, &[u8]); 8] = [
        ("a/data.pkl", pickle),
        ("a/byteorder", b"little"),
        ("a/data/0", &long),
        ("a/data/1", &short),
        ("a/data/2", &short),
        ("a/data/3", &short),
        ("a/data/4", &short),
        ("a/data/5", &short),
    ];
    file(&zips::stored(&entries));
}

/// What a file that was read says of its tensors.
fn tensors(file: &TensorFile) {
    for name in file.names().take(SEEN) {
        let Some((dtype, shape)) = file.info(name) else { panic!("{name:?} is named and not there") };
        let count: usize = shape.iter().product();
        match file.raw(name) {
            Ok(raw) if dtype.size() > 0 => assert_eq!(raw.len(), count * dtype.size(), "{name:?}"),
            Ok(_) => {}
            Err(error) => panic!("{name:?}: {error}"),
        }
        match file.values(name) {
            Ok(values) => {
                assert!(dtype.is_weight() && values.len() == count && values.iter().all(|value| value.is_finite()));
            }
            Err(error) => {
                assert!(matches!(error.code(), "checkpoint_invalid" | "checkpoint_mismatch"), "{name:?}: {error}");
            }
        }
    }
}
