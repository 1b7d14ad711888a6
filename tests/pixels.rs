//! The photo's way to the network, against the reference: equal to the byte and to the bit.

use sha2::{Digest, Sha256};
use tinysam::image::{Frame, Image, normalise_and_pad, resize};

const GOLD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The synthetic image of the goldens.
fn synth(width: u32, height: u32) -> Image {
    let (w, h) = (i64::from(width), i64::from(height));
    let mut rgb = Vec::with_capacity((w * h * 3) as usize);
    for y in 0..h {
        for x in 0..w {
            let mut pixel = [200 * x / w, 200 * y / h, 200 * (x + y) / (w + h)].map(|v| v + 20);
            let (dx, dy, r) = (x - 3 * w / 10, y - 4 * h / 10, w.min(h) / 5);
            if dx * dx + dy * dy <= r * r {
                pixel = [220, 60, 40];
            }
            if (11 * w / 20..17 * w / 20).contains(&x) && (9 * h / 20..16 * h / 20).contains(&y) {
                pixel = [40, 90, 210];
            }
            let stripes = (w / 10..w / 2).contains(&x) && (7 * h / 10..9 * h / 10).contains(&y);
            if stripes && ((x + 2 * y) / 12) % 2 == 0 {
                pixel = [235, 225, 90];
            }
            for (channel, value) in pixel.into_iter().enumerate() {
                let index = 3 * (y * w + x) as u64 + channel as u64 + 1;
                let mut z = index.wrapping_mul(GOLD);
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z ^= z >> 27;
                let noise = ((z >> 20) % 17) as i64 - 8;
                rgb.push((value + noise).clamp(0, 255) as u8);
            }
        }
    }
    Image::from_rgb(width, height, rgb).unwrap()
}

fn coffee() -> Image {
    let file = include_bytes!("fixtures/photos/coffee.png");
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    Image::from_rgb(info.width, info.height, rgb).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Checks one golden: SHA-256 of the image, of `resized_u8`, of `input` (channels first there).
fn check(image: &Image, side: u32, [photo, resized_u8, input]: [&str; 3]) {
    assert_eq!(sha256(image.rgb()), photo);
    let frame = Frame::new(image.width(), image.height(), side).unwrap();
    let resized = resize(image, &frame).unwrap();
    assert_eq!(sha256(&resized), resized_u8);
    let channels_last = normalise_and_pad(&resized, &frame);
    let channels_first: Vec<u8> = (0..3)
        .flat_map(|channel| channels_last.iter().skip(channel).step_by(3))
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(sha256(&channels_first), input);
}

#[test]
fn synth_at_256() {
    check(
        &synth(640, 480),
        256,
        [
            "c712aa8e2bf95841fdf9710b839c2b2649ddc07e69f0cb7ba046ca6c063b2c10",
            "65670d1337e6ada45cb8acd2b2d8eab6128ca9ff3d793132bfe8f28f3e64a224",
            "4606996add908e0133a9bfc3f4e862bcea35abde8fec5a95bb9543cc96c2acac",
        ],
    );
}

#[test]
fn synth_at_512() {
    check(
        &synth(640, 480),
        512,
        [
            "c712aa8e2bf95841fdf9710b839c2b2649ddc07e69f0cb7ba046ca6c063b2c10",
            "0895afdecaed69bede242c4183ae6e1057fbeef732265e3d3c72e51e5dec5df9",
            "02611a4fdbf035ee9c8c1d35843dfc5166464575f775442462434ed6cc244224",
        ],
    );
}

#[test]
fn synth_at_1024() {
    check(
        &synth(640, 480),
        1024,
        [
            "c712aa8e2bf95841fdf9710b839c2b2649ddc07e69f0cb7ba046ca6c063b2c10",
            "5246c3a7ac08a61f142732d3748a94b5edef19d6e5e74f4ae0ccd1b7b2b7c363",
            "aae50caad50a4a08b68db446d8aa465f2659aad004091cfb27c56d1f3312daeb",
        ],
    );
}

#[test]
fn coffee_at_1024() {
    check(
        &coffee(),
        1024,
        [
            "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f",
            "62c25c5ba96b52fc27e8998d8e516b899e9d466d219d01b56671f5259f13ffd6",
            "8ccec845c179ad53b7ef48e8def96671fdb4dd0620305019e78875ac96988076",
        ],
    );
}
