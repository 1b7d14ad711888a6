//! Times of the pixel code on a 12-megapixel photo: `cargo run --release --example pixels`.

use std::hint::black_box;
use std::time::Instant;

use tinysam::export::{Rle, cutout_png, mask_png, overlay_png, polygons};
use tinysam::image::{Frame, Image, normalise_and_pad, resize};
use tinysam::mask::{Bitmap, Cutoffs, LowRes, Runs, fill_small_holes, survey};

fn main() {
    let (width, height) = (4000, 3000);
    let frame = Frame::new(width, height, 1024).unwrap();
    let rgb: Vec<u8> = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::from_rgb(width, height, rgb).unwrap();
    let resized = resize(&image, &frame).unwrap();
    time("resize to 1024", || resize(&image, &frame));
    time("normalise and pad", || normalise_and_pad(&resized, frame.resized.0 as usize, [frame.side as usize; 2]));

    let cutoffs = Cutoffs { confident: Some(8.5), ..Cutoffs::default() };
    for (name, radius) in [("whole photo", 2.0), ("half", 0.4), ("small", 0.05)] {
        let low_res = blob(radius);
        time(&format!("survey, {name}"), || survey(LowRes::whole(&low_res, &frame), &frame, &cutoffs));
    }

    let smooth = survey(LowRes::whole(&blob(0.4), &frame), &frame, &cutoffs).bitmap;
    let stripes = Bitmap::from_fn(width, height, |x, y| (x / 20 + y / 20) % 2 == 0);
    for (name, mask) in [("blob", smooth), ("chequers of 20", stripes)] {
        let rle = Rle::encode(&mask);
        println!("{name}: {} runs", rle.counts.len());
        time("  RLE", || Rle::encode(&mask));
        time("  RLE, compressed", || rle.to_compressed());
        time("  from RLE", || rle.decode());
        time("  box and area", || (mask.bbox(), mask.area()));
        time("  small holes", || fill_small_holes(&mut mask.clone(), 100));
        time("  polygons", || polygons(&mask, 1.0));
        let runs = Runs::encode(&mask);
        println!("{name}: {} bytes of runs along rows", runs.bytes());
        time("  runs along rows", || Runs::encode(&mask));
        time("  from runs along rows", || runs.bitmap());
        time("  PNG of the overlay", || overlay_png(&image, &[&runs]));
        time("  PNG of the cut-out", || cutout_png(&image, &runs));
        time("  PNG of the mask", || mask_png(&runs));
    }
}

/// Smooth logits, −15 to 15, positive within `radius` of the centre (in sides), with a wavy edge.
fn blob(radius: f32) -> Vec<f32> {
    let at = |i: usize| {
        let (x, y) = ((i % 256) as f32 / 256.0 - 0.5, (i / 256) as f32 / 256.0 - 0.375);
        let wave = 0.02 * (y.atan2(x) * 9.0).sin();
        ((radius + wave - x.hypot(y)) * 150.0).clamp(-15.0, 15.0)
    };
    (0..256 * 256).map(at).collect()
}

/// The median of eleven runs.
fn time<T>(name: &str, run: impl Fn() -> T) {
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:28} {:8.2} ms", times[5]);
}
