//! A file of tensors, whose checksums are right.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::container::zip(input));
