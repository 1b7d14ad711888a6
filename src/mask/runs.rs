//! A mask as it is kept: runs of pixels.

use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

use super::Bitmap;

/// A mask of `width`×`height` original pixels as the runs of its rows, one row after the other: some kilobytes where the
/// bits of a photo are megabytes. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    width: u32,
    height: u32,
    /// Lengths, background and mask in turns (the first may be 0; background at the end is left out), each in groups of
    /// seven bits from the lowest, with a bit that says that more follow.
    lengths: Arc<[u8]>,
}

impl Runs {
    /// The runs of a bitmap.
    pub fn encode(bitmap: &Bitmap) -> Self {
        let mut lengths = Vec::new();
        let mut end = 0;
        let mut open: Option<Range<usize>> = None;
        let mut close = |run: Range<usize>| {
            push(&mut lengths, run.start - end);
            push(&mut lengths, run.len());
            end = run.end;
        };
        for y in 0..bitmap.height() {
            let row = y as usize * bitmap.width() as usize;
            for run in bitmap.runs(y) {
                let run = row + run.start as usize..row + run.end as usize;
                open = Some(match open.take() {
                    Some(before) if before.end == run.start => before.start..run.end,
                    Some(before) => {
                        close(before);
                        run
                    }
                    None => run,
                });
            }
        }
        if let Some(last) = open {
            close(last);
        }
        Runs { width: bitmap.width(), height: bitmap.height(), lengths: lengths.into() }
    }

    /// The pixels that are in any of the masks of one photo.
    pub fn union(width: u32, height: u32, masks: &[impl Borrow<Runs>]) -> Self {
        let mut all = Bitmap::new(width, height);
        masks.iter().for_each(|mask| mask.borrow().spans().for_each(|span| all.set_pixels(span, true)));
        Runs::encode(&all)
    }

    /// The mask again, a bit a pixel.
    pub fn bitmap(&self) -> Bitmap {
        let mut bitmap = Bitmap::new(self.width, self.height);
        self.spans().for_each(|span| bitmap.set_pixels(span, true));
        bitmap
    }

    /// The pixels that are in the mask, by their place along the rows, in their order.
    pub fn spans(&self) -> Spans<'_> {
        Spans { lengths: &self.lengths, at: 0 }
    }

    /// Columns, in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Memory that the runs take, in bytes.
    pub fn bytes(&self) -> usize {
        self.lengths.len()
    }
}

/// See [`Runs::spans`].
#[derive(Debug, Clone)]
pub struct Spans<'a> {
    lengths: &'a [u8],
    at: usize,
}

impl Iterator for Spans<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at + pop(&mut self.lengths)?;
        self.at = start + pop(&mut self.lengths)?;
        Some(start..self.at)
    }
}

fn push(lengths: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        lengths.push(length as u8 | 0x80);
        length >>= 7;
    }
    lengths.push(length as u8);
}

fn pop(lengths: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for (i, byte) in lengths.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *lengths = &lengths[i + 1..];
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::tests::any_mask;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_go_along_the_rows_and_over_their_ends() {
        let spans = |is_set: fn(u32, u32) -> bool| {
            let runs = Runs::encode(&Bitmap::from_fn(3, 2, is_set));
            runs.spans().map(|span| (span.start, span.end)).collect::<Vec<_>>()
        };
        assert_eq!(spans(|_, _| false), []);
        assert_eq!(spans(|_, _| true), [(0, 6)]);
        assert_eq!(spans(|x, y| (x, y) == (2, 0) || (x, y) == (0, 1)), [(2, 4)]);
        assert_eq!(spans(|x, _| x == 1), [(1, 2), (4, 5)]);
    }

    #[test]
    fn a_large_plain_mask_is_a_few_bytes() {
        let bitmap = Bitmap::from_fn(4000, 3000, |x, y| y > 10 && (y, x) < (2000, 7));
        let runs = Runs::encode(&bitmap);
        // One run: 44 000 pixels before it take three bytes, its own eight million four.
        assert_eq!(runs.bytes(), 7);
        assert_eq!(runs.bitmap(), bitmap);
    }

    #[test]
    fn a_union_has_the_pixels_of_all() {
        let cut = |is_set: fn(u32, u32) -> bool| Bitmap::from_fn(70, 9, is_set);
        let (left, disc) = (cut(|x, _| x < 30), cut(|x, y| x.abs_diff(32).pow(2) + y.abs_diff(4).pow(2) < 9));
        let union = Runs::union(70, 9, &[Runs::encode(&left), Runs::encode(&disc)]);
        assert_eq!(union.bitmap(), Bitmap::from_fn(70, 9, |x, y| left.get(x, y) || disc.get(x, y)));
        assert_eq!(Runs::union(70, 9, &[] as &[Runs]).bitmap(), Bitmap::new(70, 9));
    }

    proptest! {
        #[test]
        fn masks_round_trip(mask in any_mask()) {
            let runs = Runs::encode(&mask);
            prop_assert_eq!(&runs.bitmap(), &mask);
            prop_assert_eq!(runs.spans().map(|span| span.len()).sum::<usize>(), mask.area() as usize);
            prop_assert_eq!((runs.width(), runs.height()), (mask.width(), mask.height()));
        }
    }
}
