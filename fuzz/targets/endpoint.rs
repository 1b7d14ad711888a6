//! A request to fal's endpoint.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinysam_fuzz::endpoint::request(input));
