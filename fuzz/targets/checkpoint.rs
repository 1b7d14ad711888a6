//! A file of tensors, as it is.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::container::file(input));
