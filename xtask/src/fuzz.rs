//! `cargo xtask fuzz`: any bytes at all for what reads files, texts and requests. Not a part of the tests: it takes as
//! long as it is given, and the nightly compiler.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::shell;

#[derive(Args)]
pub struct Options {
    /// The target, one of those in fuzz/targets; all of them, one after the other, if none is named
    target: Option<String>,
    /// How long each of them runs
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// The targets, and what each begins with.
const TARGETS: [Target; 7] = [
    ("checkpoint", files),
    ("zip", zips),
    ("pickle", pickles),
    ("rle", || Ok(texts(RLES))),
    ("endpoint", || Ok(texts(REQUESTS))),
    ("polygons", || Ok(texts(PIXELS))),
    ("embedding", || Ok(vec![embedding(2), embedding(4)])),
];

type Seeds = Vec<Vec<u8>>;
type Target = (&'static str, fn() -> Result<Seeds>);

pub fn run(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.target.as_deref().is_none_or(|target| target == name);
    let targets: Vec<_> = TARGETS.into_iter().filter(|(name, _)| wanted(name)).collect();
    ensure!(!targets.is_empty(), "no target is of that name; there are {}", TARGETS.map(|(name, _)| name).join(", "));
    ensure!(
        shell::find("cargo-fuzz").is_some(),
        "cargo-fuzz is missing: rustup toolchain install nightly && cargo install cargo-fuzz --locked"
    );
    for (name, seeds) in targets {
        let corpus = shell::cache(&format!("fuzz/{name}"))?;
        for (seed, i) in seeds()?.iter().zip(0..) {
            let path = corpus.join(format!("seed-{i}"));
            fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut fuzz = shell::command("cargo");
        fuzz.args(["+nightly", "fuzz", "run", name]).arg(&corpus).arg("--");
        fuzz.arg(format!("-max_total_time={}", 60 * options.minutes));
        fuzz.args(["-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1"]);
        let words = shell::root().join(format!("fuzz/words/{name}.txt"));
        if words.is_file() {
            fuzz.arg(format!("-dict={}", words.display()));
        }
        shell::run(&mut fuzz)?;
    }
    Ok(())
}

/// Files of both formats.
fn files() -> Result<Seeds> {
    let header = br#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[2,1],"data_offsets":[8,10]},"b.scale":{"dtype":"F32","shape":[2,1],"data_offsets":[10,18]}}"#;
    let mut seeds = zips()?;
    seeds.push([&(header.len() as u64).to_le_bytes()[..], header, &[0x3c; 18]].concat());
    Ok(seeds)
}

/// What PyTorch wrote for the tests.
fn zips() -> Result<Seeds> {
    let folder = shell::root().join("tests/fixtures");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let is_saved = |path: &&std::path::PathBuf| path.extension().is_some_and(|end| end == "pth");
    paths.iter().filter(is_saved).map(|path: &std::path::PathBuf| read(path)).collect()
}

/// The pickles of those: an entry's bytes begin with a protocol and end where the next thing of the zip does.
fn pickles() -> Result<Seeds> {
    let pickle = |zip: &Vec<u8>| {
        let name = find(zip, b"/data.pkl")?;
        let start = name + find(&zip[name..], b"\x80")?;
        let end = start + find(&zip[start..], b"PK\x07\x08")?;
        Some(zip[start..end].to_vec())
    };
    Ok(zips()?.iter().filter_map(pickle).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn texts(texts: &[&[u8]]) -> Seeds {
    texts.iter().map(|text| text.to_vec()).collect()
}

/// Height and width, and COCO's string.
const RLES: &[&[u8]] = &[
    b"\x01\x00\x06\x006",
    b"\x02\x00\x1f\x000?`0`0",
    b"\x09\x00\x17\x005T35F2",
    b"\x10\x27\x10\x270PXh[o2",
    b"\x02\x00\x02\x0013",
];

/// A picture's width and height, and a request.
const REQUESTS: &[&[u8]] = &[
    br#"aaaa{"image_url":"https://a/b.png"}"#,
    br#"pppp{"image_url":"data:,","size":512,"confidence":0.5,"box_prompt":[[1,2,30,40],[0,0,0,0]]}"#,
    br#"pppp{"image_url":"blob:a","point_prompt":[[1,2],[3.5,4e1]],"point_label":[1,0],"combine":"joint","box_prompt":[[-1,2,30,40]]}"#,
    br#"zzzz{"image_url":"http://a","output":"cutout","return_masks":true,"multimask":true,"pred_iou_thresh":0.1,"stability_score_thresh":1,"points_per_side":64,"min_mask_region_area":100,"combine":"fal"}"#,
    br#"zzzz{"image_url":null,"size":-1,"confidence":1e999,"box_prompt":[[1,2],[[]],3],"point_prompt":{},"point_label":[2],"output":"?","a":0}"#,
];

/// A width, a height, a tolerance, and pixels.
const PIXELS: &[&[u8]] = &[
    b"\x05\x04\x08\xce\x29\xe7",
    b"\x40\x08\x10\x55\xaa\x55\xaa\x55\xaa\x55\xaa\xaa\x55\xaa\x55\xaa\x55\xaa\x55",
    b"\x11\x11\x04\xff\xff\x01\x01\x02\xfe\xfb\x08\x14\x28\x50\xaf\x5e\xbd\x7a\xff",
    b"\x80\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// What is put right, and an embedding at side 64 of a photo of 640 × 480, of numbers of `size` bytes.
fn embedding(size: u32) -> Vec<u8> {
    let fields = [1, size, 64, 640, 480, 0, 0, 640, 480];
    let fields: Vec<u8> = fields.iter().flat_map(|field: &u32| field.to_le_bytes()).collect();
    [&b"\x03tinysam\0"[..], &fields, &[b'0'; 64], &[0, 0x3c, 0, 0x3c]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_file_and_seeds() {
        let manifest = fs::read_to_string(shell::root().join("fuzz/Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for (name, seeds) in TARGETS {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            assert!(shell::root().join(format!("fuzz/targets/{name}.rs")).is_file(), "{name}");
            assert!(seeds().unwrap().iter().filter(|seed| !seed.is_empty()).count() > 1, "{name}");
        }
    }
}
