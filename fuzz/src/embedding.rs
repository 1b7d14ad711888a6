//! Saved embeddings.

use std::sync::OnceLock;

use futures_lite::future::block_on;
use sha2::{Digest, Sha256};
use tinysam::Device;
use tinysam::checkpoint::Checkpoint;
use tinysam::segment::{Embedding, Sam, SavedPrecision};
use tinysam_golden::formula;

use crate::memory::peak_of;

/// Where the checkpoint's digest stands, and where the numbers begin.
const CHECKPOINT: std::ops::Range<usize> = 44..108;
/// Bytes beside the file's that reading one may take: what the device sets up when it is first asked for something.
const ROOM: usize = 4 << 20;
/// Bytes for each of the file's: its numbers in f32, and what the decoder makes of them for every prompt.
const EACH: usize = 24;

/// The formula's model, and the digest of its checkpoint. Made once: an input only meets what restores.
fn model() -> &'static (Sam, String) {
    static MODEL: OnceLock<(Sam, String)> = OnceLock::new();
    MODEL.get_or_init(|| {
        let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(0)).expect("the formula's checkpoint");
        (Sam::load(&checkpoint, &Device::flex()).expect("the formula's model"), checkpoint.sha256().to_owned())
    })
}

/// A byte that says what is put right, and a saved embedding: with its lowest bit the checkpoint's digest and the file's
/// own are, with the next the numbers are repeated until there are as many as the side says.
pub fn saved(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let (sam, checkpoint) = model();
    let mut bytes = bytes.to_vec();
    if kind & 2 != 0 {
        repeat_numbers(&mut bytes);
    }
    if kind & 1 != 0 {
        if let Some(place) = bytes.get_mut(CHECKPOINT) {
            place.copy_from_slice(checkpoint.as_bytes());
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
    }
    let (restored, peak) = peak_of(|| Embedding::from_bytes(&bytes, sam));
    assert!(peak <= ROOM + EACH * bytes.len(), "{peak} bytes for {}", bytes.len());
    match restored {
        Ok(embedding) => {
            let exact = block_on(embedding.to_bytes(SavedPrecision::F32)).expect("what was restored can be saved");
            let again = Embedding::from_bytes(&exact, sam).expect("what was saved can be restored");
            assert_eq!(again.frame(), embedding.frame());
            assert_eq!(block_on(again.to_bytes(SavedPrecision::F32)).as_ref(), Ok(&exact));
            if bytes[12] == 4 {
                assert_eq!(bytes, exact);
            }
        }
        Err(error) => assert!(matches!(error.code(), "embedding_invalid" | "embedding_mismatch"), "{error}"),
    }
}

/// Numbers for the side that is stated, up to 256 pixels: those that are there, again and again.
fn repeat_numbers(bytes: &mut Vec<u8>) {
    let field = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|field| u32::from_le_bytes(*field));
    let (Some(size), Some(side)) = (field(12), field(16)) else { return };
    if bytes.len() <= CHECKPOINT.end || side > 256 || size > 8 {
        return;
    }
    let pattern = bytes.split_off(CHECKPOINT.end);
    let length = (side as usize / 16).pow(2) * 256 * size as usize;
    bytes.extend(pattern.iter().cycle().take(length));
}
