//! A saved embedding.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::embedding::saved(input));
