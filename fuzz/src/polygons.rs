//! From pixels to polygons and back.

use tinysam::export::{Polygon, Ring, polygons};
use tinysam::mask::{Bitmap, Runs};

/// Pixels of a side at most, so that a run of the target is short.
const SIDE: u32 = 128;

/// A width, a height, a tolerance in eighths of a pixel, and bits; what is missing of them is outside.
pub fn pixels(input: &[u8]) {
    let Some((&[width, height, eighths], bits)) = input.split_first_chunk() else { return };
    let (width, height) = (u32::from(width) % (SIDE + 1), u32::from(height) % (SIDE + 1));
    let mask = Bitmap::from_fn(width, height, |x, y| {
        let at = (y * width + x) as usize;
        bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    });
    assert_eq!(Runs::encode(&mask).bitmap(), mask);
    let exact = polygons(&mask, 0.0);
    assert_eq!(drawn(&exact, width, height), mask);
    for polygon in &exact {
        assert!(area(&polygon.outline) > 0.0 && polygon.holes.iter().all(|hole| area(hole) < 0.0));
    }
    let near = polygons(&mask, f32::from(eighths) / 8.0);
    assert_eq!(near.len(), exact.len());
    for (near, exact) in near.iter().zip(&exact) {
        assert_eq!(near.holes.len(), exact.holes.len());
        let (near, exact) = (near.holes.iter().chain([&near.outline]), exact.holes.iter().chain([&exact.outline]));
        for (near, exact) in near.zip(exact) {
            assert!(near.len() >= 3 && near.iter().all(|corner| exact.contains(corner)));
        }
    }
}

/// The pixels inside an odd number of rings, whose lines run along the cracks.
fn drawn(polygons: &[Polygon], width: u32, height: u32) -> Bitmap {
    let mut crossed = Bitmap::new(width + 1, height);
    for ring in polygons.iter().flat_map(|polygon| polygon.holes.iter().chain([&polygon.outline])) {
        for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)).filter(|(a, b)| a[0] == b[0]) {
            let (x, top, bottom) = (a[0] as u32, a[1].min(b[1]) as u32, a[1].max(b[1]) as u32);
            (top..bottom).for_each(|y| crossed.set(x, y, !crossed.get(x, y)));
        }
    }
    let mut inside = false;
    Bitmap::from_fn(width, height, |x, y| {
        inside = crossed.get(x, y) != (x > 0 && inside);
        inside
    })
}

/// Positive if clockwise as seen on a screen.
fn area(ring: &Ring) -> f32 {
    ring.iter().zip(ring.iter().cycle().skip(1)).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum()
}
