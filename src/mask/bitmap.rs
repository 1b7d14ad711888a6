//! A binary mask, one bit a pixel.

use std::ops::Range;

/// A mask of `width`×`height` original pixels, packed: row-major, most significant bit first, rows *not*
/// padded to bytes (the last byte is, with zeros).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    width: u32,
    height: u32,
    /// Bits past the last pixel stay zero: areas and comparisons count on it.
    bits: Vec<u8>,
}

impl Bitmap {
    /// A mask of nothing.
    pub fn new(width: u32, height: u32) -> Self {
        let pixels = width as usize * height as usize;
        Self { width, height, bits: vec![0; pixels.div_ceil(8)] }
    }

    /// A mask of the pixels `(x, y)` that `is_set` says.
    pub fn from_fn(width: u32, height: u32, mut is_set: impl FnMut(u32, u32) -> bool) -> Self {
        let mut bitmap = Self::new(width, height);
        for y in 0..height {
            for x in 0..width {
                bitmap.set(x, y, is_set(x, y));
            }
        }
        bitmap
    }

    /// Columns, in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The packed bits.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The packed bits, without a copy.
    pub fn into_bits(self) -> Vec<u8> {
        self.bits
    }

    /// Whether the pixel is in the mask; none outside the photo is.
    pub fn get(&self, x: u32, y: u32) -> bool {
        self.place(x, y).is_some_and(|(byte, bit)| self.bits[byte] & bit != 0)
    }

    /// Puts the pixel into the mask or takes it out; outside the photo nothing happens.
    pub fn set(&mut self, x: u32, y: u32, is_set: bool) {
        if let Some((byte, bit)) = self.place(x, y) {
            match is_set {
                true => self.bits[byte] |= bit,
                false => self.bits[byte] &= !bit,
            }
        }
    }

    fn place(&self, x: u32, y: u32) -> Option<(usize, u8)> {
        // First, whether it is inside: the index of what lies far outside fits no `usize` of 32 bits.
        (x < self.width && y < self.height).then(|| {
            let index = y as usize * self.width as usize + x as usize;
            (index / 8, 0x80 >> (index % 8))
        })
    }

    /// Pixels in the mask.
    pub fn area(&self) -> u32 {
        let (words, rest) = self.bits.as_chunks::<8>();
        let words = words.iter().map(|&w| u64::from_ne_bytes(w).count_ones());
        words.chain(rest.iter().map(|b| b.count_ones())).sum()
    }

    /// The smallest box around the mask, `[x, y, width, height]`, as COCO has it: a mask of one pixel has a width and a
    /// height of 1, and a mask of the whole photo `[0, 0, w, h]`. An empty mask has `[0, 0, 0, 0]`.
    pub fn bbox(&self) -> [u32; 4] {
        let mut extent = Extent::default();
        for y in 0..self.height {
            let (mut first, mut last) = (None, 0);
            for (word, x) in self.row(y).zip((0..).step_by(64)) {
                if word != 0 {
                    first.get_or_insert(x + word.leading_zeros());
                    last = x + 63 - word.trailing_zeros();
                }
            }
            if let Some(first) = first {
                extent.add_row(y, first, last);
            }
        }
        extent.bbox()
    }

    /// Puts every pixel of another mask of the same photo into this one.
    pub fn unite(&mut self, other: &Self) {
        if (self.width, self.height) == (other.width, other.height) {
            for (byte, &more) in self.bits.iter_mut().zip(&other.bits) {
                *byte |= more;
            }
        }
    }

    /// Everything but the mask.
    pub fn invert(&mut self) {
        for byte in &mut self.bits {
            *byte = !*byte;
        }
        let pixels = self.width as usize * self.height as usize;
        if let (Some(last), used @ 1..8) = (self.bits.last_mut(), pixels % 8) {
            *last &= !(0xff >> used);
        }
    }

    /// Puts the columns `xs` of row `y` into the mask or takes them out; outside the photo nothing happens.
    pub(super) fn set_run(&mut self, y: u32, xs: Range<u32>, is_set: bool) {
        if xs.start < self.width && y < self.height {
            let row = y as usize * self.width as usize;
            self.set_pixels(row + xs.start as usize..row + xs.end.min(self.width) as usize, is_set);
        }
    }

    /// Puts pixels into the mask or takes them out, by their place along the rows; past the last nothing happens.
    pub(super) fn set_pixels(&mut self, pixels: Range<usize>, is_set: bool) {
        let (start, end) = (pixels.start, pixels.end.min(self.width as usize * self.height as usize));
        if start >= end {
            return;
        }
        let (first, last) = (start / 8, (end - 1) / 8);
        for (byte, index) in self.bits[first..=last].iter_mut().zip(first..) {
            let mut bits = 0xff;
            if index == first {
                bits &= 0xff >> (start % 8);
            }
            if index == last {
                bits &= !(0x7f >> ((end - 1) % 8));
            }
            match is_set {
                true => *byte |= bits,
                false => *byte &= !bits,
            }
        }
    }

    /// The row's pixels in words of 64, the leftmost the most significant bit; zeros past the row's end.
    pub(crate) fn row(&self, y: u32) -> impl Iterator<Item = u64> + '_ {
        (0..self.width.div_ceil(64)).map(move |i| self.word(64 * i, y))
    }

    /// 64 pixels of row `y` from column `x` on, the leftmost the most significant bit.
    pub(crate) fn word(&self, x: u32, y: u32) -> u64 {
        if x >= self.width || y >= self.height {
            return 0;
        }
        let start = y as usize * self.width as usize + x as usize;
        let (byte, shift) = (start / 8, start % 8);
        let word = match self.bits.get(byte..byte + 9) {
            Some(&[a, b, c, d, e, f, g, h, i]) => {
                let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                word << shift | u64::from(i) >> (8 - shift)
            }
            _ => {
                let mut bytes = [0; 16];
                let rest = &self.bits[byte..];
                bytes[..rest.len()].copy_from_slice(rest);
                (u128::from_be_bytes(bytes) >> (64 - shift)) as u64
            }
        };
        match self.width - x {
            left @ 0..64 => word & !(u64::MAX >> left),
            _ => word,
        }
    }

    /// Puts the pixels of `word`, as [`Bitmap::word`] gives them, into the mask; those past the row's end
    /// must be zero.
    pub(crate) fn unite_word(&mut self, x: u32, y: u32, word: u64) {
        self.unite_bytes(x, y, &word.to_be_bytes());
    }

    /// Puts packed pixels of row `y` into the mask, from column `x` on; those past the row's end must be
    /// zero.
    pub(super) fn unite_bytes(&mut self, x: u32, y: u32, packed: &[u8]) {
        let start = y as usize * self.width as usize + x as usize;
        let (first, shift) = (start / 8, start % 8);
        let Some(bits) = self.bits.get_mut(first..) else {
            return;
        };
        if shift == 0 {
            for (byte, &more) in bits.iter_mut().zip(packed) {
                *byte |= more;
            }
            return;
        }
        let mut carry = 0;
        for (byte, &more) in bits.iter_mut().zip(packed.iter().chain(&[0])) {
            *byte |= carry | more >> shift;
            carry = more << (8 - shift);
        }
    }

    /// The runs of pixels of row `y` that are in the mask, left to right.
    pub(crate) fn runs(&self, y: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut x = 0;
        std::iter::from_fn(move || {
            let start = self.next(x, y, true)?;
            x = self.next(start, y, false).unwrap_or(self.width);
            Some(start..x)
        })
    }

    /// The first column from `x` on whose pixel in row `y` is, or is not, in the mask.
    fn next(&self, mut x: u32, y: u32, is_set: bool) -> Option<u32> {
        while x < self.width {
            let word = self.word(x, y);
            let found = if is_set { word } else { !word };
            if found != 0 {
                return Some(x + found.leading_zeros()).filter(|&x| x < self.width);
            }
            x += 64;
        }
        None
    }
}

/// The first and last column and row of a mask, while its rows are met from the top.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    rows: Option<(u32, u32)>,
    columns: (u32, u32),
}

impl Extent {
    /// Row `y` has its first pixel in column `first`, its last in `last`.
    pub(super) fn add_row(&mut self, y: u32, first: u32, last: u32) {
        (self.rows, self.columns) = match self.rows {
            None => (Some((y, y)), (first, last)),
            Some((top, _)) => (Some((top, y)), (self.columns.0.min(first), self.columns.1.max(last))),
        };
    }

    /// As [`Bitmap::bbox`].
    pub(super) fn bbox(&self) -> [u32; 4] {
        let (left, right) = self.columns;
        match self.rows {
            None => [0; 4],
            Some((top, bottom)) => [left, top, right - left + 1, bottom - top + 1],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        /// Masks of every sort: noise, blobs, empty, full.
        pub(crate) fn any_mask()(width in 1u32..150, height in 1u32..40)(
            noise in prop::collection::vec(any::<bool>(), (width * height) as usize),
            (cx, cy, r) in (0..width, 0..height, 0..width.max(height)),
            kind in 0..5,
            width in Just(width),
            height in Just(height),
        ) -> Bitmap {
            Bitmap::from_fn(width, height, |x, y| {
                let noise = noise[(y * width + x) as usize];
                let disc = x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) <= r * r;
                match kind { 0 => false, 1 => true, 2 => noise, 3 => disc, _ => disc ^ (noise && x % 5 == 0) }
            })
        }
    }

    #[test]
    fn bits_are_packed_most_significant_first_without_padding() {
        let bitmap = Bitmap::from_fn(3, 3, |x, y| x == y);
        assert_eq!(bitmap.bits(), [0b1000_1000, 0b1000_0000]);
    }

    #[test]
    fn boxes_are_the_smallest_around_the_pixels() {
        let bbox = |is_set: fn(u32, u32) -> bool| Bitmap::from_fn(100, 9, is_set).bbox();
        assert_eq!(bbox(|_, _| false), [0, 0, 0, 0]);
        assert_eq!(bbox(|_, _| true), [0, 0, 100, 9]);
        assert_eq!(bbox(|x, y| (x, y) == (70, 3)), [70, 3, 1, 1]);
        // Not to be taken for an empty one.
        assert_eq!(bbox(|x, y| (x, y) == (0, 0)), [0, 0, 1, 1]);
        assert_eq!(bbox(|x, y| (5..80).contains(&x) && y > 1), [5, 2, 75, 7]);
    }

    #[test]
    fn masks_of_one_photo_are_united() {
        let cut = |is_set: fn(u32, u32) -> bool| Bitmap::from_fn(11, 3, is_set);
        let mut all = cut(|x, _| x < 4);
        all.unite(&cut(|_, y| y == 1));
        assert_eq!(all, cut(|x, y| x < 4 || y == 1));
        // Of another photo's nothing.
        all.unite(&Bitmap::from_fn(3, 11, |_, _| true));
        assert_eq!(all, cut(|x, y| x < 4 || y == 1));
        assert_eq!(all.clone().into_bits(), all.bits());
    }

    #[test]
    fn nothing_is_outside() {
        let mut bitmap = Bitmap::from_fn(3, 2, |_, _| true);
        bitmap.set(3, 0, true);
        bitmap.set(u32::MAX, u32::MAX, true);
        assert!(!bitmap.get(3, 0) && !bitmap.get(0, 2) && !bitmap.get(u32::MAX, u32::MAX));
        assert_eq!(bitmap.area(), 6);
        // Twice in is in, and twice out is out.
        for (is_set, area) in [(true, 6), (true, 6), (false, 5), (false, 5), (true, 6)] {
            bitmap.set(1, 1, is_set);
            assert_eq!((bitmap.get(1, 1), bitmap.area()), (is_set, area));
        }
        assert_eq!(Bitmap::new(0, 7).bbox(), [0; 4]);
    }

    proptest! {
        #[test]
        fn rows_words_and_runs_agree_with_pixels(mask in any_mask(), x in 0u32..160) {
            let mut area = 0;
            for y in 0..mask.height() {
                let expected = (0..64).fold(0, |word, i| word << 1 | u64::from(mask.get(x + i, y)));
                prop_assert_eq!(mask.word(x, y), expected);
                let mut seen = vec![false; mask.width() as usize];
                for run in mask.runs(y) {
                    area += run.len() as u32;
                    seen[run.start as usize..run.end as usize].fill(true);
                }
                prop_assert!((0..mask.width()).all(|x| seen[x as usize] == mask.get(x, y)));
            }
            prop_assert_eq!(area, mask.area());
        }

        #[test]
        fn runs_are_set_and_cleared(
            mask in any_mask(),
            y in 0u32..40,
            xs in (0u32..150, 0u32..150).prop_map(|(a, b)| a..b),
            is_set in any::<bool>(),
        ) {
            let expected = Bitmap::from_fn(mask.width(), mask.height(), |x, row| {
                if row == y && xs.contains(&x) { is_set } else { mask.get(x, row) }
            });
            let mut changed = mask;
            changed.set_run(y, xs, is_set);
            prop_assert_eq!(changed, expected);
        }

        #[test]
        fn inverting_twice_changes_nothing(mask in any_mask()) {
            let mut inverted = mask.clone();
            inverted.invert();
            prop_assert_eq!(inverted.area() + mask.area(), mask.width() * mask.height());
            prop_assert!(inverted.get(0, 0) != mask.get(0, 0));
            inverted.invert();
            prop_assert_eq!(inverted, mask);
        }

        #[test]
        fn words_put_back_make_the_same_mask(mask in any_mask()) {
            let mut copy = Bitmap::new(mask.width(), mask.height());
            for y in 0..mask.height() {
                for (word, i) in mask.row(y).zip(0..) {
                    copy.unite_word(64 * i, y, word);
                }
            }
            prop_assert_eq!(copy, mask);
        }
    }
}
