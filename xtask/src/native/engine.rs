//! The engine in this process, on its CPU.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use futures_lite::future::block_on;
use tinysam::checkpoint::{Checkpoint, Precision};
use tinysam::image::Image;
use tinysam::segment::{Choice, EverythingOptions, Prompt, Sam, SavedPrecision};
use tinysam_golden::engine;

use crate::bench::{self, Measured, PICTURE, WEIGHTS};
use crate::inputs::{self, Picture, Weights};
use crate::verify::Expected;
use crate::{convert, shell, verify};

pub fn verify(options: &verify::Options) -> Result<()> {
    let expected = Expected::open(options)?;
    let (sam, image) = (load(&options.checkpoint)?, picture(&options.image)?);
    let report = match expected {
        Expected::Tensors(golden) => engine::trace(&sam, &image, &golden)?,
        Expected::Everything(golden) => engine::everything(&sam, &image, &golden)?,
    };
    verify::conclude(&report)
}

pub fn bench(options: &bench::Options) -> Result<()> {
    let image = picture(&PICTURE)?;
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut note = |name: &str, start: Instant| {
        times.entry(name.to_owned()).or_default().push(start.elapsed().as_secs_f64() * 1e3);
    };
    let bytes = fs::read(WEIGHTS.file()?)?;
    let weights = bytes.len() as u64;

    let start = Instant::now();
    let sam = Sam::load(&Checkpoint::from_bytes(bytes)?, &Device::flex())?;
    note("load", start);
    let encode = || {
        let embedding = block_on(sam.embed(&image, options.size, async || Ok(())))?;
        block_on(sam.finish(&embedding)).map(|()| embedding)
    };
    let start = Instant::now();
    let embedding = encode()?;
    note("firstEncode", start);
    for _ in 0..options.runs {
        let start = Instant::now();
        encode()?;
        note("encode", start);
    }
    let (w, h) = (image.width() as f32, image.height() as f32);
    let boxes: Vec<_> =
        (0..64).map(|i| Prompt::bbox([(i % 8) as f32 * w / 9.0, (i / 8) as f32 * h / 9.0, w / 4.0, h / 4.0])).collect();
    let prompts = [("decode1", &boxes[..1]), ("decode16", &boxes[..16]), ("decode64", &boxes)];
    for (name, prompts) in prompts {
        // With the mask at original size, as the package hands it out.
        let decode = || block_on(sam.segment(&embedding, prompts, Choice::BEST, async |_| Ok(())));
        decode()?;
        for _ in 0..options.runs {
            let start = Instant::now();
            decode()?;
            note(name, start);
        }
    }
    let start = Instant::now();
    let mut everything = EverythingOptions::default();
    everything.points_per_side = bench::EVERYTHING.points_per_side;
    everything.pred_iou_thresh = bench::EVERYTHING.pred_iou_thresh;
    everything.stability_score_thresh = bench::EVERYTHING.stability_score_thresh;
    everything.high_score_thresh = bench::EVERYTHING.high_score_thresh;
    let mut points = 0;
    block_on(sam.everything(&embedding, &everything, async |batch| {
        points = batch.done as u64;
        Ok(())
    }))?;
    note("everything", start);
    let measured = Measured {
        on: format!("{:?}", options.on),
        size: options.size,
        adapter: String::from("this machine's CPU, all cores"),
        times,
        peak_memory: peak_memory(),
        points,
        code: BTreeMap::new(),
        weights,
    };
    bench::report(options, &measured)
}

pub fn convert(options: &convert::Options) -> Result<()> {
    let precision = match options.precision {
        convert::Precision::F32 => Precision::F32,
        convert::Precision::F16 => Precision::F16,
        convert::Precision::Int8 => Precision::Int8,
    };
    let bytes = fs::read(&options.input).with_context(|| format!("cannot read {}", options.input.display()))?;
    let file = Checkpoint::from_bytes(bytes)?.to_safetensors(precision)?;
    inputs::write(&options.output, &file)?;
    shell::say(&format!("{}: {} bytes", options.output.display(), file.len()));
    Ok(())
}

/// The side at which the page has its own checkpoint see photos: `www/src/checkpoints.ts`.
const PAGE_SIDE: u32 = 320;

pub fn samples() -> Result<()> {
    let sam = load(&Weights::of_the_page())?;
    let photos = shell::root().join("www/public/photos");
    fs::create_dir_all(photos.join("encoded"))?;
    for entry in fs::read_dir(&photos)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if !path.extension().is_some_and(|extension| extension == "png" || extension == "jpg") {
            continue;
        }
        let image = picture(&Picture::File(path))?;
        let embedding = block_on(sam.embed(&image, PAGE_SIDE, async || Ok(())))?;
        let encoded = photos.join("encoded").join(format!("{}.tinysam", name.display()));
        inputs::write(&encoded, &block_on(embedding.to_bytes(SavedPrecision::F16))?)?;
        shell::say(&format!("{}", encoded.display()));
    }
    Ok(())
}

fn load(weights: &Weights) -> Result<Sam> {
    let bytes = fs::read(weights.file()?)?;
    Ok(Sam::load(&Checkpoint::from_bytes(bytes)?, &Device::flex())?)
}

fn picture(picture: &Picture) -> Result<Image> {
    let pixels = picture.pixels()?;
    Ok(Image::from_rgb(pixels.width, pixels.height, pixels.rgb)?)
}

/// The most memory that this process ever had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
