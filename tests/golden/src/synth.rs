//! The synthetic picture: a colour ramp, a disc, a rectangle, stripes and noise, in integers only, at any size.

use sha2::{Digest, Sha256};

use crate::{hex, mix};

/// The picture's bytes, `[height, width, 3]`, RGB.
pub fn synth(width: u32, height: u32) -> Vec<u8> {
    let (w, h) = (i64::from(width), i64::from(height));
    let mut rgb = Vec::with_capacity(3 * width as usize * height as usize);
    for y in 0..h {
        for x in 0..w {
            let index = 3 * (y * w + x);
            for (channel, &value) in (0i64..).zip(&colour(x, y, w, h)) {
                rgb.push((value + noise(index + channel)).clamp(0, 255) as u8);
            }
        }
    }
    rgb
}

/// SHA-256 of a picture's RGB bytes: `image_sha256` of the goldens.
pub fn image_sha256(rgb: &[u8]) -> String {
    hex(&Sha256::digest(rgb))
}

/// What lies on top at a pixel, before the noise.
fn colour(x: i64, y: i64, w: i64, h: i64) -> [i64; 3] {
    let stripes = (w / 10..w / 2).contains(&x) && (7 * h / 10..9 * h / 10).contains(&y) && ((x + 2 * y) / 12) % 2 == 0;
    if stripes {
        return [235, 225, 90];
    }
    let rectangle = (11 * w / 20..17 * w / 20).contains(&x) && (9 * h / 20..16 * h / 20).contains(&y);
    if rectangle {
        return [40, 90, 210];
    }
    let (dx, dy, radius) = (x - 3 * w / 10, y - 4 * h / 10, w.min(h) / 5);
    if dx * dx + dy * dy <= radius * radius {
        return [220, 60, 40];
    }
    [200 * x / w + 20, 200 * y / h + 20, 200 * (x + y) / (w + h) + 20]
}

/// −8…8 for the byte at `index`.
fn noise(index: i64) -> i64 {
    let z = mix::light((index as u64 + 1).wrapping_mul(mix::GOLD));
    ((z >> 20) % 17) as i64 - 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goldens_picture() {
        assert_eq!(image_sha256(&synth(640, 480)), "c712aa8e2bf95841fdf9710b839c2b2649ddc07e69f0cb7ba046ca6c063b2c10");
    }

    #[test]
    fn any_size() {
        for (width, height) in [(1, 1), (1, 9), (17, 3), (64, 64)] {
            assert_eq!(synth(width, height).len(), 3 * (width * height) as usize);
        }
    }
}
