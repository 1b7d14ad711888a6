//! Resizing as Pillow does it, byte for byte.
//!
//! The reference resizes with Pillow's `BILINEAR`: a triangle filter, widened by the scale when shrinking,
//! with weights in 22-bit fixed point, rows first, then columns, rounded to bytes in between. A library with
//! other weights or the other order is off by one in several per cent of the bytes; so this is the algorithm
//! itself (Pillow, src/libImaging/Resample.c).

use std::ops::Range;

use super::{Frame, Photo};
use crate::{Error, Result};

/// 32 bits less eight for the result and two for overflow.
const PRECISION: u32 = 22;
const HALF: i32 = 1 << (PRECISION - 1);
/// Pixels that are read at a time, about: the photo need not lie in memory.
const BAND: usize = 1 << 18;

/// What the network sees of a photo, at `frame.resized`: `[h, w, 3]` bytes, equal to Pillow's antialiased bilinear filter.
///
/// # Errors
/// [`Error::Internal`] if the frame is that of another photo.
pub fn resize(photo: &impl Photo, frame: &Frame) -> Result<Vec<u8>> {
    let (width, height) = (photo.width(), photo.height());
    if (width, height) != frame.original {
        return Err(Error::Internal(format!("a {width}×{height} photo in a frame of {:?}", frame.original)));
    }
    let (width, [_, top, _, rows]) = (width as usize, frame.crop.map(|length| length as usize));
    let mut resized = Resized::new(frame);
    let band = (BAND / width).max(1);
    for first in (top..top + rows).step_by(band) {
        let end = (first + band).min(top + rows);
        resized.push(&photo.read(first * width..end * width));
    }
    Ok(resized.bytes)
}

/// A resized photo growing from top to bottom.
struct Resized {
    bytes: Vec<u8>,
    /// How many of its rows there are.
    done: usize,
    columns: Taps,
    rows: Taps,
    /// Bytes of a row of the photo, and those of it that count.
    row: (usize, Range<usize>),
    /// Rows of the part that were resized, but not as columns: those that will count, from row `first` on.
    narrowed: Vec<u8>,
    first: usize,
    sums: Vec<i32>,
}

impl Resized {
    fn new(frame: &Frame) -> Self {
        let [left, _, width, height] = frame.crop.map(|length| length as usize);
        let (new_width, new_height) = (frame.resized.0 as usize, frame.resized.1 as usize);
        Resized {
            bytes: vec![0; new_width * new_height * 3],
            done: 0,
            columns: Taps::new(width, new_width),
            rows: Taps::new(height, new_height),
            row: (frame.original.0 as usize * 3, left * 3..(left + width) * 3),
            narrowed: Vec::new(),
            first: 0,
            sums: vec![0; new_width * 3],
        }
    }

    /// Takes the next whole rows of the photo.
    fn push(&mut self, rgb: &[u8]) {
        for row in rgb.chunks_exact(self.row.0) {
            let at = self.narrowed.len();
            self.narrowed.resize(at + self.sums.len(), 0);
            resize_row(row[self.row.1.clone()].as_chunks().0, &self.columns, self.narrowed[at..].as_chunks_mut().0);
        }
        let stride = self.sums.len();
        while let Some((first, weights)) = self.rows.get(self.done) {
            let from = (first - self.first) * stride..(first - self.first + weights.len()) * stride;
            // What is missing comes with the next rows.
            let Some(from) = self.narrowed.get(from) else { break };
            self.sums.fill(HALF);
            for (from, &weight) in from.chunks_exact(stride).zip(weights) {
                for (sum, &byte) in self.sums.iter_mut().zip(from) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (to, &sum) in self.bytes[self.done * stride..].iter_mut().zip(&self.sums) {
                *to = to_byte(sum);
            }
            self.done += 1;
        }
        if let Some((next, _)) = self.rows.get(self.done) {
            self.narrowed.drain(..(next - self.first) * stride);
            self.first = next;
        }
    }
}

/// A row, resized.
fn resize_row(from: &[[u8; 3]], taps: &Taps, to: &mut [[u8; 3]]) {
    for ((first, weights), to) in taps.iter().zip(to) {
        let (mut r, mut g, mut b) = (HALF, HALF, HALF);
        for (pixel, &weight) in from[first..].iter().zip(weights) {
            r += i32::from(pixel[0]) * weight;
            g += i32::from(pixel[1]) * weight;
            b += i32::from(pixel[2]) * weight;
        }
        *to = [r, g, b].map(to_byte);
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// For each output position: the first input position that counts, and the weights from there on.
struct Taps {
    first: Vec<usize>,
    /// `size` to an output position; those past the input's end are cut off.
    weights: Vec<i32>,
    counts: Vec<usize>,
    size: usize,
}

impl Taps {
    /// From `length` to `new_length` positions, both at least 1.
    fn new(length: usize, new_length: usize) -> Self {
        let scale = length as f64 / new_length as f64;
        let support = scale.max(1.0);
        let size = support.ceil() as usize * 2 + 1;
        let mut taps = Self {
            first: Vec::with_capacity(new_length),
            weights: Vec::with_capacity(size * new_length),
            counts: Vec::with_capacity(new_length),
            size,
        };
        for at in 0..new_length {
            let centre = (at as f64 + 0.5) * scale;
            // Casts saturate at 0, as the reference's clamps do.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(length);
            let triangle = |x: usize| {
                let distance = ((x as f64 - centre + 0.5) * (1.0 / support)).abs();
                (1.0 - distance).max(0.0)
            };
            let total: f64 = (first..end).map(triangle).sum();
            let weights = (first..end).map(|x| (0.5 + triangle(x) / total * f64::from(1 << PRECISION)) as i32);
            taps.first.push(first);
            taps.counts.push(end - first);
            taps.weights.extend(weights);
            taps.weights.resize(size * (at + 1), 0);
        }
        taps
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.size);
        (self.first.iter().zip(&self.counts).zip(weights)).map(|((&first, &count), weights)| (first, &weights[..count]))
    }

    /// Those of one output position, none where there is no such.
    fn get(&self, at: usize) -> Option<(usize, &[i32])> {
        let (first, count) = (*self.first.get(at)?, *self.counts.get(at)?);
        Some((first, &self.weights[self.size * at..][..count]))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::cell::RefCell;

    use super::*;
    use crate::image::Image;
    use proptest::prelude::*;

    /// The same filter over both axes at once, in f64, rounded nowhere.
    fn exact(image: &Image, (new_width, new_height): (u32, u32)) -> Vec<f64> {
        let weights = |length: u32, new_length: u32, at: u32| -> Vec<f64> {
            let scale = f64::from(length) / f64::from(new_length);
            let centre = (f64::from(at) + 0.5) * scale;
            let weight = |x| 1.0 - (f64::from(x) + 0.5 - centre).abs() / scale.max(1.0);
            let all: Vec<f64> = (0..length).map(|x| weight(x).max(0.0)).collect();
            let total: f64 = all.iter().sum();
            all.iter().map(|w| w / total).collect()
        };
        let mut out = Vec::new();
        for y in 0..new_height {
            let rows = weights(image.height(), new_height, y);
            for x in 0..new_width {
                let columns = weights(image.width(), new_width, x);
                let mut sums = [0.0; 3];
                for (pixel, i) in image.rgb().as_chunks::<3>().0.iter().zip(0..) {
                    let weight = rows[i / columns.len()] * columns[i % columns.len()];
                    for (sum, &byte) in sums.iter_mut().zip(pixel) {
                        *sum += weight * f64::from(byte);
                    }
                }
                out.extend(sums);
            }
        }
        out
    }

    prop_compose! {
        fn photo()(width in 1u32..40, height in 1u32..40)(
            rgb in prop::collection::vec(any::<u8>(), (width * height * 3) as usize),
            width in Just(width),
            height in Just(height),
        ) -> Image {
            Image::from_rgb(width, height, rgb).unwrap()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Half a level for each of the two roundings.
        #[test]
        fn within_rounding_of_the_triangle_filter(image in photo(), new in (1u32..24, 1u32..24)) {
            let frame = Frame {
                original: (image.width(), image.height()),
                crop: [0, 0, image.width(), image.height()],
                resized: new,
                side: 64,
            };
            let resized = resize(&image, &frame).unwrap();
            prop_assert_eq!(resized.len(), (new.0 * new.1 * 3) as usize);
            for (byte, exact) in resized.into_iter().zip(exact(&image, new)) {
                prop_assert!((f64::from(byte) - exact).abs() <= 1.001, "{byte} for {exact}");
            }
        }
    }

    #[test]
    fn one_pixel_fills_the_square() {
        let image = Image::from_rgb(1, 1, vec![1, 128, 255]).unwrap();
        let resized = resize(&image, &Frame::new(1, 1, 64).unwrap()).unwrap();
        assert!(resized.chunks(3).all(|pixel| pixel == [1, 128, 255]));
        assert_eq!(resized.len(), 64 * 64 * 3);
    }

    #[test]
    fn panoramas_lose_nothing_of_a_flat_colour() {
        let image = Image::from_rgb(16_384, 160, [200, 100, 50].repeat(16_384 * 160)).unwrap();
        let resized = resize(&image, &Frame::new(16_384, 160, 1024).unwrap()).unwrap();
        assert_eq!(resized, [200, 100, 50].repeat(1024 * 10));
    }

    #[test]
    fn a_part_is_resized_as_a_photo_of_its_own() {
        let photo = |width, height, at: &dyn Fn(u32, u32) -> u8| {
            let bytes = (0..width * height).flat_map(|i| [at(i % width, i / width); 3]).collect();
            Image::from_rgb(width, height, bytes).unwrap()
        };
        let (whole, part) =
            (photo(40, 30, &|x, y| (7 * x + 3 * y) as u8), photo(20, 11, &|x, y| (7 * (x + 5) + 3 * (y + 9)) as u8));
        let cropped = resize(&whole, &Frame::of_crop(40, 30, [5, 9, 20, 11], 64).unwrap()).unwrap();
        assert_eq!(cropped, resize(&part, &Frame::new(20, 11, 64).unwrap()).unwrap());
    }

    /// A photo that says how much of it was read at a time.
    struct Watched<'a>(&'a Image, RefCell<Vec<Range<usize>>>);

    impl Photo for Watched<'_> {
        fn width(&self) -> u32 {
            self.0.width()
        }

        fn height(&self) -> u32 {
            self.0.height()
        }

        fn read(&self, pixels: Range<usize>) -> Cow<'_, [u8]> {
            self.1.borrow_mut().push(pixels.clone());
            Cow::Owned(self.0.read(pixels).into_owned())
        }
    }

    /// Bands end anywhere between the rows that an output row is made of.
    #[test]
    fn a_photo_is_read_once_in_bands_of_its_part() {
        let (width, height) = (3000, 2000);
        let rgb = (0..width * height * 3).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let image = Image::from_rgb(width, height, rgb).unwrap();
        for crop in [[0, 0, 3000, 2000], [100, 300, 2500, 1300], [0, 1999, 3000, 1], [7, 600, 20, 500]] {
            let frame = Frame::of_crop(width, height, crop, 256).unwrap();
            let watched = Watched(&image, RefCell::default());
            let resized = resize(&watched, &frame).unwrap();
            let bands = watched.1.into_inner();
            assert!(bands.iter().all(|band| band.len() <= BAND && band.len() % 3000 == 0), "{bands:?}");
            assert!(bands.windows(2).all(|pair| pair[0].end == pair[1].start), "{bands:?}");
            let (first, end) = (bands.first().unwrap().start, bands.last().unwrap().end);
            assert_eq!([first, end], [crop[1], crop[1] + crop[3]].map(|row| row as usize * 3000));
            // As a whole photo of its own, all of it at once.
            let [left, top, across, down] = crop.map(|length| length as usize);
            let rows = image.rgb().chunks_exact(3 * 3000).skip(top).take(down);
            let part: Vec<u8> = rows.flat_map(|row| &row[3 * left..3 * (left + across)]).copied().collect();
            let mut whole = Resized::new(&Frame::new(across as u32, down as u32, 256).unwrap());
            whole.push(&part);
            assert!(resized == whole.bytes, "{crop:?}");
        }
    }

    #[test]
    fn another_photos_frame_is_refused() {
        let image = Image::from_rgb(2, 1, vec![0; 6]).unwrap();
        let frame = Frame::new(1, 2, 64).unwrap();
        assert_eq!(resize(&image, &frame).unwrap_err().code(), "internal");
    }
}
