//! The photo's way to the network, against the reference: equal to the byte and to the bit.

use std::io::BufReader;

use sha2::{Digest, Sha256};
use tinysam::image::{Frame, Image, normalise_and_pad, resize};
use tinysam_golden::{fixture, hex};

fn synth() -> Image {
    Image::from_rgb(640, 480, tinysam_golden::synth::synth(640, 480)).unwrap()
}

fn coffee() -> Image {
    let file = BufReader::new(std::fs::File::open(fixture("photos/coffee.png")).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    Image::from_rgb(info.width, info.height, rgb).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Checks one golden: SHA-256 of the image, of `resized_u8`, of `input` (channels first there).
fn check(image: &Image, side: u32, [photo, resized_u8, input]: [&str; 3]) {
    assert_eq!(sha256(image.rgb()), photo);
    let frame = Frame::new(image.width(), image.height(), side).unwrap();
    let resized = resize(image, &frame).unwrap();
    assert_eq!(sha256(&resized), resized_u8);
    let channels_last = normalise_and_pad(&resized, frame.resized.0 as usize, [frame.side as usize; 2]);
    let channels_first: Vec<u8> = (0..3)
        .flat_map(|channel| channels_last.iter().skip(channel).step_by(3))
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(sha256(&channels_first), input);
}

#[test]
fn synth_at_256() {
    check(
        &synth(),
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
        &synth(),
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
        &synth(),
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
