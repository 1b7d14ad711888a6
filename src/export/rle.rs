//! COCO's run-length encoding: column-major, background first.
//!
//! Uncompressed it is a list of run lengths; compressed, the string of COCO's `maskApi.c` (`rleToString`).

use crate::image::check_size;
use crate::mask::Bitmap;
use crate::{Error, Result};

/// A mask as runs down the columns, left to right: background, mask, background… (the first may be 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rle {
    /// Height and width in pixels, in COCO's order.
    pub size: [u32; 2],
    /// Run lengths; together `height * width`.
    pub counts: Vec<u32>,
}

impl Rle {
    /// Encodes a mask. The work is in the bits' words and in the runs, not in the pixels.
    pub fn encode(bitmap: &Bitmap) -> Self {
        let (width, height) = (bitmap.width(), bitmap.height());
        let mut counts = Vec::new();
        let mut last = 0;
        let mut end_run = |place: u32| {
            counts.push(place - last);
            last = place;
        };
        // 64 columns at a time: in each, the rows at which it changes, as if background were above it.
        let mut changes = vec![Vec::new(); 64];
        let mut inside = false;
        for x in (0..width).step_by(64) {
            let mut above = 0;
            for y in 0..height {
                let word = bitmap.word(x, y);
                let mut changed = word ^ above;
                while changed != 0 {
                    let column = changed.leading_zeros();
                    changes[column as usize].push(y);
                    changed &= !(1 << (63 - column));
                }
                above = word;
            }
            for (column, changes) in (x..width).zip(&mut changes) {
                let mut rows = changes.as_slice();
                // What is above is the foot of the column before.
                if inside {
                    match rows.split_first() {
                        Some((0, rest)) => rows = rest,
                        _ => end_run(column * height),
                    }
                }
                inside = changes.len() % 2 == 1;
                rows.iter().for_each(|y| end_run(column * height + y));
                changes.clear();
            }
        }
        end_run(width * height);
        Self { size: [height, width], counts }
    }

    /// The mask again.
    ///
    /// # Errors
    /// [`Error::PromptInvalid`] if the runs do not fill the size; [`Error::ImageInvalid`] and
    /// [`Error::ImageTooLarge`] for a size that no photo has.
    pub fn decode(&self) -> Result<Bitmap> {
        let [height, width] = self.size;
        check_size(width, height)?;
        let pixels = width * height;
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        if total != u64::from(pixels) {
            return Err(Error::PromptInvalid(format!(
                "the runs of an RLE are {total} pixels long, its size {width}×{height} has {pixels}"
            )));
        }
        let mut bitmap = Bitmap::new(width, height);
        // Where each of 64 columns enters or leaves the mask.
        let mut changes = vec![0u64; height as usize];
        let mut strip = 0;
        let mut end = 0;
        for (&count, inside) in self.counts.iter().zip([false, true].into_iter().cycle()) {
            let mut start = end;
            end += count;
            while inside && start < end {
                let column = start / height;
                let foot = (column + 1) * height;
                if column / 64 != strip {
                    paint(&mut bitmap, strip, &mut changes);
                    strip = column / 64;
                }
                let bit = 1 << (63 - column % 64);
                changes[(start % height) as usize] ^= bit;
                if end < foot {
                    changes[(end % height) as usize] ^= bit;
                }
                start = end.min(foot);
            }
        }
        paint(&mut bitmap, strip, &mut changes);
        Ok(bitmap)
    }

    /// The counts as COCO's string: each, from the fourth on, less the one before the last, in groups of
    /// five bits from the lowest, with a bit that says that more follow.
    pub fn to_compressed(&self) -> String {
        let mut text = String::new();
        for (i, &count) in self.counts.iter().enumerate() {
            let mut rest = i64::from(count);
            if i > 2 {
                rest -= i64::from(self.counts[i - 2]);
            }
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                let more = rest != if group & 0x10 == 0 { 0 } else { -1 };
                text.push(char::from(48 + group + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// Reads COCO's string for a mask of `[height, width]`.
    ///
    /// # Errors
    /// [`Error::PromptInvalid`] for a string that is none; sizes are checked by [`Rle::decode`].
    pub fn from_compressed(size: [u32; 2], text: &str) -> Result<Self> {
        let invalid = |at: usize| Error::PromptInvalid(format!("byte {at} of a compressed RLE does not belong there"));
        let mut counts: Vec<u32> = Vec::new();
        let (mut value, mut shift) = (0i64, 0);
        for (at, byte) in text.bytes().enumerate() {
            let group = byte.checked_sub(48).filter(|&group| group < 64 && shift < 40);
            let group = i64::from(group.ok_or_else(|| invalid(at))?);
            value |= (group & 0x1f) << shift;
            shift += 5;
            if group & 0x20 != 0 {
                continue;
            }
            if group & 0x10 != 0 {
                value |= -1 << shift;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| invalid(at))?);
            (value, shift) = (0, 0);
        }
        match shift {
            0 => Ok(Self { size, counts }),
            _ => Err(invalid(text.len())),
        }
    }
}

/// Paints 64 columns downwards and clears their changes.
fn paint(bitmap: &mut Bitmap, strip: u32, changes: &mut [u64]) {
    let mut word = 0;
    for (changed, y) in changes.iter_mut().zip(0..) {
        word ^= std::mem::take(changed);
        if word != 0 {
            bitmap.unite_word(64 * strip, y, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::any_mask;
    use proptest::prelude::*;

    #[test]
    fn runs_go_down_the_columns() {
        let counts = |is_set: fn(u32, u32) -> bool| Rle::encode(&Bitmap::from_fn(3, 2, is_set)).counts;
        assert_eq!(counts(|_, _| false), [6]);
        assert_eq!(counts(|_, _| true), [0, 6]);
        assert_eq!(counts(|x, y| (x, y) == (1, 0)), [2, 1, 3]);
        assert_eq!(counts(|_, y| y == 0), [0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(counts(|_, y| y == 1), [1, 1, 1, 1, 1, 1]);
        assert_eq!(counts(|x, _| x != 1), [0, 2, 2, 2]);
    }

    /// The strings are those of pycocotools 2.0.
    #[test]
    fn strings_are_cocos() {
        for (size, counts, text) in [
            ([1, 6], vec![6], "6"),
            ([2, 31], vec![0, 15, 16, 31], "0?`0`0"),
            ([9, 23], vec![5, 100, 5, 90, 7], "5T35F2"),
            ([10_000, 10_000], vec![0, 100_000_000], "0PXh[o2"),
        ] {
            let rle = Rle { size, counts };
            assert_eq!(rle.to_compressed(), text);
            assert_eq!(Rle::from_compressed(size, text).unwrap(), rle);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["P", " ", "é", "~", "o", "oooooooo6", "I", "\u{7f}"] {
            let code = Rle::from_compressed([2, 2], text).unwrap_err().code();
            assert_eq!(code, "prompt_invalid", "{text}");
        }
        let decode = |size, counts| Rle { size, counts }.decode();
        assert_eq!(decode([2, 2], vec![3]).unwrap_err().code(), "prompt_invalid");
        assert_eq!(decode([2, 2], vec![u32::MAX; 9]).unwrap_err().code(), "prompt_invalid");
        assert_eq!(decode([0, 2], vec![]).unwrap_err().code(), "image_invalid");
        assert_eq!(decode([u32::MAX, 2], vec![]).unwrap_err().code(), "image_too_large");
        assert_eq!(decode([2, 2], vec![1, 0, 2, 1, 0, 0]).unwrap().bits(), [0b0001_0000]);
    }

    proptest! {
        #[test]
        fn counts_are_those_of_the_pixels(mask in any_mask()) {
            let mut counts = vec![0];
            let mut inside = false;
            for x in 0..mask.width() {
                for y in 0..mask.height() {
                    if mask.get(x, y) != inside {
                        inside = !inside;
                        counts.push(0);
                    }
                    *counts.last_mut().unwrap() += 1;
                }
            }
            prop_assert_eq!(Rle::encode(&mask).counts, counts);
        }

        /// COCO's own way from run lengths to a box (`rleToBbox`, common/maskApi.c of cocodataset/cocoapi), which
        /// `pycocotools.mask.toBbox` calls.
        #[test]
        fn boxes_are_cocos(mask in any_mask()) {
            let rle = Rle::encode(&mask);
            let [height, width] = rle.size;
            let (mut left, mut right, mut top, mut bottom, mut first) = (width, 0, height, 0, 0);
            let mut at = 0;
            // An odd run at the end is background.
            for (i, run) in rle.counts[..rle.counts.len() / 2 * 2].iter().enumerate() {
                at += run;
                let last = at - (i % 2) as u32;
                let (x, y) = (last / height, last % height);
                if i % 2 == 0 {
                    first = x;
                } else if first < x {
                    (top, bottom) = (0, height - 1);
                }
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
            let expected = match rle.counts.len() {
                0 | 1 => [0; 4],
                _ => [left, top, right - left + 1, bottom - top + 1],
            };
            prop_assert_eq!(mask.bbox(), expected);
        }

        #[test]
        fn masks_round_trip(mask in any_mask()) {
            let rle = Rle::encode(&mask);
            prop_assert_eq!(&rle.decode().unwrap(), &mask);
            let back = Rle::from_compressed(rle.size, &rle.to_compressed()).unwrap();
            prop_assert_eq!(back, rle);
        }

        #[test]
        fn any_counts_round_trip(counts in prop::collection::vec(0..=100_000_000u32, 0..50)) {
            let rle = Rle { size: [1, 1], counts };
            prop_assert_eq!(Rle::from_compressed([1, 1], &rle.to_compressed()).unwrap(), rle);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\x20-\\x7f]{0,40}") {
            if let Ok(rle) = Rle::from_compressed([7, 9], &text) {
                let _ = rle.decode();
            }
        }
    }
}
