//! From pixels to polygons and back.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::polygons::pixels(input));
