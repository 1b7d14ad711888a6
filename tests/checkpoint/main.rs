//! Checkpoints: what is read, and that nothing else gets through. `containers.rs` has files of named tensors,
//! `whole.rs` the 439 of the network, `saved.rs` the same as people save them, `hostile` what is damaged or means harm.

mod containers;
mod hostile;
mod memory;
mod saved;
mod torch_writer;
mod whole;

use tinysam::checkpoint::TensorFile;

/// A file of tests/fixtures.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Reads a file that must be refused as unreadable, and says with which words.
#[track_caller]
fn refusal(bytes: Vec<u8>) -> String {
    match TensorFile::from_bytes(bytes) {
        Ok(_) => panic!("the file was read"),
        Err(error) => {
            assert_eq!(error.code(), "checkpoint_invalid", "{error}");
            error.to_string()
        }
    }
}

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}
