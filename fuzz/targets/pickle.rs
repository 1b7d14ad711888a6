//! The pickle of a file of tensors.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::container::pickle(input));
