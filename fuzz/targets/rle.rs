//! COCO's run lengths as text.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::rle::text(input));
