//! From bytes to the network's input.
//!
//! Mirrors `Sam.preprocess` of the reference (tinysam/modeling/sam.py).

/// Means of ImageNet's channels, RGB, in units of a byte.
pub const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Their standard deviations.
pub const STD: [f32; 3] = [58.395, 57.12, 57.375];

/// The resized photo `[h, width, 3]` as the network's input `[rows, side, 3]`: channels last, normalised, and
/// *then* zero-padded to the right and below.
///
/// `resized` is what [`super::resize`] returned, or rows of it.
pub fn normalise_and_pad(resized: &[u8], width: usize, [rows, side]: [usize; 2]) -> Vec<f32> {
    // There are only 768 possible values: divide once for each.
    let table: [[f32; 256]; 3] =
        std::array::from_fn(|channel| std::array::from_fn(|byte| (byte as f32 - MEAN[channel]) / STD[channel]));
    let mut input = vec![0f32; rows * side * 3];
    for (to, from) in input.chunks_exact_mut(side * 3).zip(resized.chunks_exact(width * 3)) {
        let pixels = from.as_chunks::<3>().0;
        for (to, from) in to.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
            for channel in 0..3 {
                to[channel] = table[channel][usize::from(from[channel])];
            }
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_zero_after_normalising() {
        let input = normalise_and_pad(&[255; 64 * 32 * 3], 64, [64, 64]);
        assert_eq!(input.len(), 64 * 64 * 3);
        let (photo, padding) = input.split_at(64 * 32 * 3);
        assert_eq!(photo[..3], [2.2489083, 2.4285715, 2.64]);
        assert!(photo.chunks(3).all(|p| p == &photo[..3]));
        assert!(padding.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn narrow_photos_are_padded_to_the_right() {
        let input = normalise_and_pad(&[0; 64 * 3], 1, [64, 64]);
        assert!(input.chunks(64 * 3).all(|row| row[0] < -2.0 && row[3..].iter().all(|&v| v == 0.0)));
    }
}
