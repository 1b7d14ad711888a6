//! Masks as pictures.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::Bitmap;
use crate::image::Image;
use crate::{Error, Result};

/// What has pixels, at hand or to be made when they are wanted: the masks of a large photo, all at once, would be too
/// much memory.
pub trait Pixels {
    /// How many.
    fn area(&self) -> u32;
    /// Which, at original size.
    fn bitmap(&self) -> Cow<'_, Bitmap>;
}

impl<P: Pixels> Pixels for &P {
    fn area(&self) -> u32 {
        (**self).area()
    }
    fn bitmap(&self) -> Cow<'_, Bitmap> {
        (**self).bitmap()
    }
}

impl Pixels for Bitmap {
    fn area(&self) -> u32 {
        Bitmap::area(self)
    }
    fn bitmap(&self) -> Cow<'_, Bitmap> {
        Cow::Borrowed(self)
    }
}

/// The colours of masks, by their order: well apart from each other and from most photos.
pub const PALETTE: [[u8; 3]; 12] = [
    [230, 57, 70],
    [29, 122, 220],
    [255, 190, 11],
    [6, 167, 125],
    [155, 93, 229],
    [251, 133, 0],
    [0, 187, 249],
    [241, 91, 181],
    [112, 184, 20],
    [87, 75, 144],
    [188, 108, 37],
    [0, 128, 128],
];

/// The photo with every mask laid over it at alpha 0.6, larger masks below smaller ones: `[height, width, 3]`.
/// The colour of a mask depends on its place in `masks` alone.
///
/// # Errors
/// [`Error::Internal`] if a mask is of another size than the photo.
pub fn overlay(image: &Image, masks: &[impl Pixels]) -> Result<Vec<u8>> {
    let mut rgb = image.rgb().to_vec();
    for (index, mask) in bottom_up(masks) {
        let mask = mask.bitmap();
        check_size(image, &mask)?;
        // Two fifths of what is there and three of the colour, rounded to nearest; eight pixels at a time.
        let colour = PALETTE[index % PALETTE.len()];
        let share: [u16; 24] = std::array::from_fn(|i| 3 * u16::from(colour[i % 3]) + 2);
        for_runs(&mask, |run| {
            for pixels in rgb[3 * run.start..3 * run.end].chunks_mut(share.len()) {
                for (channel, share) in pixels.iter_mut().zip(share) {
                    *channel = ((2 * u16::from(*channel) + share) / 5) as u8;
                }
            }
        });
    }
    Ok(rgb)
}

/// The photo where the mask is, transparent black elsewhere: `[height, width, 4]`, straight alpha.
///
/// # Errors
/// As [`overlay`].
pub fn cutout(image: &Image, mask: &Bitmap) -> Result<Vec<u8>> {
    check_size(image, mask)?;
    let mut rgba = vec![0; image.rgb().len() / 3 * 4];
    for_runs(mask, |run| {
        let from = image.rgb()[3 * run.start..3 * run.end].as_chunks::<3>().0;
        let to = rgba[4 * run.start..4 * run.end].as_chunks_mut::<4>().0;
        for (to, &[r, g, b]) in to.iter_mut().zip(from) {
            *to = [r, g, b, 255];
        }
    });
    Ok(rgba)
}

/// White where the mask is, black elsewhere: `[height, width]`.
pub fn luma(mask: &Bitmap) -> Vec<u8> {
    let mut luma = vec![0; mask.width() as usize * mask.height() as usize];
    for_runs(mask, |run| luma[run].fill(255));
    luma
}

/// White where the mask is, transparent elsewhere: `[height, width, 4]`.
pub fn rgba(mask: &Bitmap) -> Vec<u8> {
    let mut rgba = vec![0; mask.width() as usize * mask.height() as usize * 4];
    for_runs(mask, |run| rgba[4 * run.start..4 * run.end].fill(255));
    rgba
}

/// For each pixel the number of its mask, from 1 in the order given, or 0: `[height, width]`. Where masks
/// overlap the smaller one counts.
///
/// # Errors
/// [`Error::Internal`] if masks are of different sizes; [`Error::OptionInvalid`] for more than 65 535 masks.
pub fn label_map(width: u32, height: u32, masks: &[impl Pixels]) -> Result<Vec<u16>> {
    if u16::try_from(masks.len()).is_err() {
        return Err(Error::OptionInvalid(format!("a label map of {} masks; it holds 65535", masks.len())));
    }
    let mut labels = vec![0; width as usize * height as usize];
    for (index, mask) in bottom_up(masks) {
        let mask = mask.bitmap();
        if (mask.width(), mask.height()) != (width, height) {
            return Err(other_size(&mask, width, height));
        }
        for_runs(&mask, |run| labels[run].fill(index as u16 + 1));
    }
    Ok(labels)
}

/// The masks with their places, larger ones first, equal ones in their order.
fn bottom_up<M: Pixels>(masks: &[M]) -> Vec<(usize, &M)> {
    let mut order: Vec<_> = masks.iter().enumerate().collect();
    order.sort_by_cached_key(|(_, mask)| Reverse(mask.area()));
    order
}

/// The runs of a mask as ranges of flat pixel numbers.
fn for_runs(mask: &Bitmap, mut paint: impl FnMut(std::ops::Range<usize>)) {
    for y in 0..mask.height() {
        let row = y as usize * mask.width() as usize;
        for run in mask.runs(y) {
            paint(row + run.start as usize..row + run.end as usize);
        }
    }
}

fn check_size(image: &Image, mask: &Bitmap) -> Result<()> {
    match (mask.width(), mask.height()) == (image.width(), image.height()) {
        true => Ok(()),
        false => Err(other_size(mask, image.width(), image.height())),
    }
}

fn other_size(mask: &Bitmap, width: u32, height: u32) -> Error {
    Error::Internal(format!("a {}×{} mask for a {width}×{height} photo", mask.width(), mask.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(range: std::ops::Range<u32>) -> Bitmap {
        Bitmap::from_fn(4, 1, |x, _| range.contains(&x))
    }

    #[test]
    fn smaller_masks_lie_above() {
        let image = Image::from_rgb(4, 1, vec![100; 12]).unwrap();
        let (small, large) = (columns(1..2), columns(0..3));
        let rgb = overlay(&image, &[small.clone(), large.clone()]).unwrap();
        let over = |below: f64, colour: u8| (0.4 * below + 0.6 * f64::from(colour)).round() as u8;
        let blue = PALETTE[1].map(|colour| over(100.0, colour));
        let both = [0, 1, 2].map(|i| over(f64::from(blue[i]), PALETTE[0][i]));
        assert_eq!(rgb, [blue, both, blue, [100; 3]].concat());
        assert_eq!(label_map(4, 1, &[small.clone(), large.clone()]).unwrap(), [2, 1, 2, 0]);
        assert_eq!(label_map(4, 1, &[large, small]).unwrap(), [1, 2, 1, 0]);
    }

    #[test]
    fn cutouts_show_nothing_else() {
        let image = Image::from_rgb(4, 1, (1..=12).collect()).unwrap();
        let rgba = cutout(&image, &columns(2..3)).unwrap();
        assert_eq!(rgba, [0, 0, 0, 0, 0, 0, 0, 0, 7, 8, 9, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn masks_are_white() {
        assert_eq!(luma(&columns(1..3)), [0, 255, 255, 0]);
        assert_eq!(super::rgba(&columns(3..4))[8..], [0, 0, 0, 0, 255, 255, 255, 255]);
    }

    #[test]
    fn masks_of_other_photos_are_refused() {
        let image = Image::from_rgb(1, 1, vec![1, 2, 3]).unwrap();
        assert_eq!(overlay(&image, &[columns(0..1)]).unwrap_err().code(), "internal");
        assert_eq!(cutout(&image, &columns(0..1)).unwrap_err().code(), "internal");
        assert_eq!(label_map(1, 1, &[columns(0..1)]).unwrap_err().code(), "internal");
        assert_eq!(overlay(&image, &[] as &[Bitmap]).unwrap(), [1, 2, 3]);
        assert_eq!(overlay(&image, &[Bitmap::new(1, 1)]).unwrap(), [1, 2, 3]);
    }
}
