//! `.safetensors` headers that claim what is not so.

use tinysam::checkpoint::limits;

use super::{cheap_refusal, seen};
use crate::memory::peak_of;
use crate::{assert_says, refusal};

fn header_of(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn headers_of_absurd_lengths() {
    for length in [limits::HEADER as u64 + 1, 100_000_000, u64::MAX - 7, u64::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        assert_says(&cheap_refusal(bytes), &["header claims"]);
    }
}

#[test]
fn headers_that_do_not_fit() {
    let tensor =
        |shape: &str, offsets: &str| format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
    assert!(seen(header_of(&tensor("[2]", "[0,8]"), 8)).is_some());
    let max = u64::MAX;
    for json in [
        tensor("[3]", "[0,8]"),
        tensor("[2]", "[0,4]"),
        tensor("[2]", "[8,0]"),
        tensor("[2]", "[4,12]"),
        tensor("[2]", "[0,1000000000000]"),
        tensor("[4611686018427387904, 4]", "[0,8]"),
        tensor(&format!("[{max}, {max}]"), "[0,8]"),
        tensor(&format!("[{max}, 0]"), &format!("[0,{max}]")),
        tensor("[-2]", "[0,8]"),
        tensor("[2.0]", "[0,8]"),
        tensor("[1,1,1,1,1,1,1,1,2]", "[0,8]"),
        tensor(&format!("[{}]", "1,".repeat(10_000) + "2"), "[0,8]"),
        "{".to_owned(),
        "{}".to_owned(),
        "{\"t\":null}".to_owned(),
        "{\"t\":1}".to_owned(),
        format!("{{\"t\":{}", "[".repeat(100_000)),
        "{\"__metadata__\":{\"a\":1}}".to_owned(),
        "{\u{0}}".to_owned(),
    ] {
        cheap_refusal(header_of(&json, 8));
    }
}

#[test]
fn the_largest_header_costs_little() {
    let most = limits::HEADER - 100;
    for json in [
        format!(r#"{{"t":{{"dtype":"F32","shape":[{}1],"data_offsets":[0,8]}}}}"#, "1,".repeat(most / 2)),
        format!(r#"{{"__metadata__":{{"a":"{}","b":0}}}}"#, "a".repeat(most)),
        format!("{{{}\"t\":0}}", "\"t\":0,".repeat(most / 6)),
        format!("{{\"t\":[{}0]}}", "[],".repeat(most / 3)),
    ] {
        let (message, peak) = peak_of(|| refusal(header_of(&json, 0)));
        assert!(peak < 128 << 20, "{peak} bytes for: {message}");
    }
}

#[test]
fn headers_whose_sizes_add_up_beyond_the_address_space() {
    // Each size is within bounds, their sum and the header's length are not.
    let each = (u64::MAX / 8) / 2 * 2;
    let mut tensors = Vec::new();
    let mut start = 0u64;
    for i in 0..8 {
        let end = start + each;
        tensors.push(format!(r#""t{i}":{{"dtype":"U8","shape":[{each}],"data_offsets":[{start},{end}]}}"#));
        start = end;
    }
    let rest = u64::MAX - start;
    tensors.push(format!(r#""t8":{{"dtype":"U8","shape":[{rest}],"data_offsets":[{start},{}]}}"#, u64::MAX));
    cheap_refusal(header_of(&format!("{{{}}}", tensors.join(",")), 8));
}

#[test]
fn two_tensors_of_one_name_in_a_header() {
    let json = r#"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    cheap_refusal(header_of(json, 8));
}
