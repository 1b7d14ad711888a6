//! What each fuzz target holds to be true of any input. A target is a line that calls one of these.
//!
//! | target | its input is | and the claim |
//! |---|---|---|
//! | `checkpoint` | a file | is read, or refused with a typed error, in memory that its bytes justify |
//! | `zip` | a zip, whose checksums are put right first | the same |
//! | `pickle` | a `data.pkl`, put into a zip | the same |
//! | `rle` | two sides and a string | what is read is written and read again |
//! | `endpoint` | two sides and JSON | has faults, or a plan that cannot fail |
//! | `polygons` | a tolerance and pixels | exact polygons hold these pixels |
//! | `embedding` | a saved embedding, whose digest is put right | is restored and saved the same, or refused |
//!
//! Nothing private of the crate is reached for: the containers come in by [`TensorFile`](tinysam::checkpoint::TensorFile).

pub mod container;
pub mod embedding;
pub mod endpoint;
#[path = "../../tests/checkpoint/memory.rs"]
mod memory;
pub mod polygons;
pub mod rle;
mod zips;

/// The two bytes at the beginning of an input and the rest of it.
fn number(input: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = input.split_first_chunk()?;
    Some((u16::from_le_bytes(*number), rest))
}
