//! Masks as pictures.

use std::borrow::Borrow;
use std::cell::LazyCell;
use std::cmp::Reverse;
use std::ops::Range;

use super::png::{Channels, encode};
use crate::image::Photo;
use crate::mask::{Runs, Spans};
use crate::{Error, Result};

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

/// A PNG of the photo with every mask laid over it at alpha 0.6, larger masks below smaller ones.
/// The colour of a mask depends on its place in `masks` alone.
///
/// # Errors
/// [`Error::Internal`] if a mask is of another size than the photo.
pub fn overlay_png(photo: &impl Photo, masks: &[impl Borrow<Runs>]) -> Result<Vec<u8>> {
    let (width, height) = (photo.width(), photo.height());
    let mut layers = layers(width, height, masks)?;
    encode(width, height, Channels::Rgb, &mut |pixels, rgb| {
        rgb.copy_from_slice(&photo.read(pixels.clone()));
        for (index, layer) in &mut layers {
            // Two fifths of what is there and three of the colour, rounded to nearest; eight pixels at a time.
            let colour = PALETTE[*index % PALETTE.len()];
            let share: [u16; 24] = std::array::from_fn(|i| 3 * u16::from(colour[i % 3]) + 2);
            layer.within(&pixels, |span| {
                for pixels in rgb[3 * span.start..3 * span.end].chunks_mut(share.len()) {
                    for (channel, share) in pixels.iter_mut().zip(share) {
                        *channel = ((2 * u16::from(*channel) + share) / 5) as u8;
                    }
                }
            });
        }
    })
}

/// A PNG of the photo where the mask is, transparent black elsewhere, straight alpha.
///
/// # Errors
/// As [`overlay_png`].
pub fn cutout_png(photo: &impl Photo, mask: &Runs) -> Result<Vec<u8>> {
    let (width, height) = (photo.width(), photo.height());
    check_size(mask, width, height)?;
    let mut layer = Layer::new(mask);
    encode(width, height, Channels::Rgba, &mut |pixels, rgba| {
        let rgb = LazyCell::new(|| photo.read(pixels.clone()));
        layer.within(&pixels, |span| {
            let from = rgb[3 * span.start..3 * span.end].as_chunks::<3>().0;
            let to = rgba[4 * span.start..4 * span.end].as_chunks_mut::<4>().0;
            for (to, &[r, g, b]) in to.iter_mut().zip(from) {
                *to = [r, g, b, 255];
            }
        });
    })
}

/// A PNG, white where the mask is, black elsewhere.
///
/// # Errors
/// [`Error::Internal`] for a mask of a picture without pixels.
pub fn mask_png(mask: &Runs) -> Result<Vec<u8>> {
    let mut layer = Layer::new(mask);
    encode(mask.width(), mask.height(), Channels::Luma, &mut |pixels, luma| {
        layer.within(&pixels, |span| luma[span].fill(255));
    })
}

/// A label map as it is drawn: pixels, counted along the rows, and the number of the mask that lies over what was drawn there
/// before, from 1 in the order given. Of what none covers, nothing is said: it is 0. Where masks overlap the smaller one counts.
///
/// # Errors
/// [`Error::Internal`] if masks are of different sizes; [`Error::OptionInvalid`] for more than 65 535 masks.
pub fn label_spans<M: Borrow<Runs>>(
    width: u32,
    height: u32,
    masks: &[M],
) -> Result<impl Iterator<Item = (Range<usize>, u16)>> {
    let layers = numbered(width, height, masks)?;
    Ok(layers.into_iter().flat_map(|(number, layer)| layer.spans.map(move |span| (span, number))))
}

/// A PNG of the label map ([`label_spans`]): grey, sixteen bits a pixel.
///
/// # Errors
/// As [`label_spans`].
pub fn label_png(width: u32, height: u32, masks: &[impl Borrow<Runs>]) -> Result<Vec<u8>> {
    let mut layers = numbered(width, height, masks)?;
    encode(width, height, Channels::Luma16, &mut |pixels, labels| {
        let labels = labels.as_chunks_mut::<2>().0;
        for (number, layer) in &mut layers {
            layer.within(&pixels, |span| labels[span].fill(number.to_be_bytes()));
        }
    })
}

/// A mask of which the rows before are painted.
struct Layer<'a> {
    spans: Spans<'a>,
    /// What is left of a span that went on after the last band.
    rest: Range<usize>,
}

impl<'a> Layer<'a> {
    fn new(mask: &'a Runs) -> Self {
        Layer { spans: mask.spans(), rest: 0..0 }
    }

    /// Paints what is in the band of these pixels, counted from its first. Bands come in their order.
    fn within(&mut self, band: &Range<usize>, mut paint: impl FnMut(Range<usize>)) {
        loop {
            if self.rest.is_empty() {
                let Some(next) = self.spans.next() else { return };
                self.rest = next;
            }
            if self.rest.start >= band.end {
                return;
            }
            let end = self.rest.end.min(band.end);
            paint(self.rest.start - band.start..end - band.start);
            self.rest.start = end;
        }
    }
}

/// The masks with their places, larger ones first, equal ones in their order: as they are painted.
fn layers<M: Borrow<Runs>>(width: u32, height: u32, masks: &[M]) -> Result<Vec<(usize, Layer<'_>)>> {
    masks.iter().try_for_each(|mask| check_size(mask.borrow(), width, height))?;
    let mut order: Vec<_> = masks.iter().map(Borrow::borrow).enumerate().collect();
    order.sort_by_cached_key(|(_, mask)| Reverse(mask.spans().map(|span| span.len()).sum::<usize>()));
    Ok(order.into_iter().map(|(index, mask)| (index, Layer::new(mask))).collect())
}

/// The masks with their numbers in a label map.
fn numbered<M: Borrow<Runs>>(width: u32, height: u32, masks: &[M]) -> Result<Vec<(u16, Layer<'_>)>> {
    if u16::try_from(masks.len()).is_err() {
        return Err(Error::OptionInvalid(format!("a label map of {} masks; it holds 65535", masks.len())));
    }
    Ok(layers(width, height, masks)?.into_iter().map(|(index, layer)| (index as u16 + 1, layer)).collect())
}

fn check_size(mask: &Runs, width: u32, height: u32) -> Result<()> {
    match (mask.width(), mask.height()) == (width, height) {
        true => Ok(()),
        false => {
            Err(Error::Internal(format!("a {}×{} mask for a {width}×{height} photo", mask.width(), mask.height())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::png::tests::decode;
    use super::*;
    use crate::image::Image;
    use crate::mask::Bitmap;

    fn columns(range: Range<u32>) -> Runs {
        Runs::encode(&Bitmap::from_fn(4, 1, |x, _| range.contains(&x)))
    }

    fn label_map(width: u32, height: u32, masks: &[impl Borrow<Runs>]) -> Result<Vec<u16>> {
        let mut labels = vec![0; (width * height) as usize];
        label_spans(width, height, masks)?.for_each(|(span, number)| labels[span].fill(number));
        Ok(labels)
    }

    fn pixels(file: Result<Vec<u8>>) -> Vec<u8> {
        decode(&file.unwrap()).2
    }

    #[test]
    fn smaller_masks_lie_above() {
        let image = Image::from_rgb(4, 1, vec![100; 12]).unwrap();
        let (small, large) = (columns(1..2), columns(0..3));
        let rgb = pixels(overlay_png(&image, &[&small, &large]));
        let over = |below: f64, colour: u8| (0.4 * below + 0.6 * f64::from(colour)).round() as u8;
        let blue = PALETTE[1].map(|colour| over(100.0, colour));
        let both = [0, 1, 2].map(|i| over(f64::from(blue[i]), PALETTE[0][i]));
        assert_eq!(rgb, [blue, both, blue, [100; 3]].concat());
        assert_eq!(label_map(4, 1, &[&small, &large]).unwrap(), [2, 1, 2, 0]);
        assert_eq!(label_map(4, 1, &[&large, &small]).unwrap(), [1, 2, 1, 0]);
        assert_eq!(pixels(label_png(4, 1, &[&large, &small])), [0, 1, 0, 2, 0, 1, 0, 0]);
    }

    #[test]
    fn cutouts_show_nothing_else() {
        let image = Image::from_rgb(4, 1, (1..=12).collect()).unwrap();
        let rgba = pixels(cutout_png(&image, &columns(2..3)));
        assert_eq!(rgba, [0, 0, 0, 0, 0, 0, 0, 0, 7, 8, 9, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn masks_are_white() {
        assert_eq!(pixels(mask_png(&columns(1..3))), [0, 255, 255, 0]);
    }

    /// A span may go over many bands, and end or begin in the middle of one.
    #[test]
    fn bands_show_the_whole_mask() {
        let (width, height) = (700, 1700);
        let image = Image::from_rgb(width, height, (0..width * height * 3).map(|i| (i % 249) as u8).collect()).unwrap();
        let disc = Bitmap::from_fn(width, height, |x, y| x.abs_diff(300).pow(2) + y.abs_diff(800).pow(2) < 250_000);
        let full = Bitmap::from_fn(width, height, |_, _| true);
        for bitmap in [&disc, &full] {
            let mask = Runs::encode(bitmap);
            let inside = |at: usize| bitmap.get(at as u32 % width, at as u32 / width);
            let luma = pixels(mask_png(&mask));
            assert!(luma.iter().enumerate().all(|(at, pixel)| (*pixel == 255) == inside(at)));
            let cut = pixels(cutout_png(&image, &mask));
            let (cut, rgb) = (cut.as_chunks::<4>().0, image.rgb().as_chunks::<3>().0);
            assert!(cut.iter().zip(rgb).enumerate().all(|(at, (&[r, g, b, a], photo))| match inside(at) {
                true => [r, g, b] == *photo && a == 255,
                false => [r, g, b, a] == [0; 4],
            }));
            let labels = label_map(width, height, &[&mask]).unwrap();
            let file = pixels(label_png(width, height, &[&mask]));
            assert!(file.as_chunks::<2>().0.iter().zip(labels).all(|(file, label)| u16::from_be_bytes(*file) == label));
        }
    }

    #[test]
    fn masks_of_other_photos_are_refused() {
        let image = Image::from_rgb(1, 1, vec![1, 2, 3]).unwrap();
        assert_eq!(overlay_png(&image, &[columns(0..1)]).unwrap_err().code(), "internal");
        assert_eq!(cutout_png(&image, &columns(0..1)).unwrap_err().code(), "internal");
        assert_eq!(label_map(1, 1, &[columns(0..1)]).unwrap_err().code(), "internal");
        assert_eq!(pixels(overlay_png(&image, &[] as &[Runs])), [1, 2, 3]);
        assert_eq!(pixels(overlay_png(&image, &[Runs::encode(&Bitmap::new(1, 1))])), [1, 2, 3]);
    }
}
