//! int8 weights: each output channel has a scale of its own, in a tensor beside the weight.
//!
//! A value is its int8 times its channel's scale. The scales are float32, with as many axes as the weight, as long as
//! its own along the axis of the channels and 1 along the others.

/// The largest int8 that is written: its negative is one, too.
const LARGEST: f32 = 127.0;

/// The smallest weight that is worth scales, in elements.
const WORTHWHILE: usize = 4096;

/// The name of a weight's scales.
pub(super) fn scale_of(name: &str) -> String {
    format!("{name}.scale")
}

/// The axis of the output channels of a large weight of a product; `None` for what is small or no such weight. A
/// transposed convolution has its outputs second.
pub(super) fn output_axis(name: &str, shape: &[usize]) -> Option<usize> {
    let large = shape.len() >= 2 && shape.iter().product::<usize>() >= WORTHWHILE;
    let transposed = name.starts_with("mask_decoder.output_upscaling.");
    (large && name.ends_with(".weight")).then_some(transposed as usize)
}

/// The axis along which a weight of `shape` is scaled by scales of `sides`, if they fit.
pub(super) fn scaled_axis(shape: &[usize], sides: &[usize]) -> Option<usize> {
    let axis = sides.iter().position(|side| *side != 1).unwrap_or(0);
    let fits = |(at, side): (usize, &usize)| *side == if at == axis { shape[at] } else { 1 };
    (!shape.is_empty() && shape.len() == sides.len() && sides.iter().enumerate().all(fits)).then_some(axis)
}

/// The values of a weight of `shape`, scaled along `axis`.
pub(super) fn unpack(raw: &[u8], shape: &[usize], axis: usize, scales: &[f32]) -> Vec<f32> {
    // Elements in a row that share a scale.
    let run: usize = shape[axis + 1..].iter().product();
    let mut values = Vec::with_capacity(raw.len());
    for (run, scale) in raw.chunks(run.max(1)).zip(scales.iter().cycle()) {
        values.extend(run.iter().map(|byte| f32::from(*byte as i8) * scale));
    }
    values
}

/// Values over their channel's scale, rounded to nearest, ties to even; and the scales.
pub(super) fn pack(values: &[f32], shape: &[usize], axis: usize) -> (Vec<u8>, Vec<f32>) {
    let run: usize = shape[axis + 1..].iter().product();
    let channel = |at: usize| at / run % shape[axis];
    let mut largest = vec![0f32; shape[axis]];
    for (at, value) in values.iter().enumerate() {
        let largest = &mut largest[channel(at)];
        *largest = largest.max(value.abs());
    }
    // A channel of zeros has any scale.
    let scales: Vec<f32> = largest.iter().map(|&top| if top > 0.0 { top / LARGEST } else { 1.0 }).collect();
    let data = values.iter().enumerate().map(|(at, value)| {
        let scaled = (value / scales[channel(at)]).round_ties_even();
        scaled.clamp(-LARGEST, LARGEST) as i8 as u8
    });
    (data.collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_scaled() {
        let (data, scales) = pack(&[1.0, -127.0, 0.5, 0.0, 0.0, 0.0], &[3, 2], 0);
        assert_eq!((&data, &scales), (&vec![1, -127i8 as u8, 127, 0, 0, 0], &vec![1.0, 0.5 / 127.0, 1.0]));
        assert_eq!(unpack(&data, &[3, 2], 0, &scales), [1.0, -127.0, 0.5, 0.0, 0.0, 0.0]);
        // Along the second axis, with two elements to a channel; a tie goes to the even one.
        let (data, scales) = pack(&[127.0, 2.5, 254.0, 4.0], &[1, 2, 2], 1);
        assert_eq!((&data, &scales), (&vec![127, 2, 127, 2], &vec![1.0, 2.0]));
        assert_eq!(unpack(&data, &[1, 2, 2], 1, &scales), [127.0, 2.0, 254.0, 4.0]);
    }

    #[test]
    fn scales_fit_along_one_axis() {
        assert_eq!(scaled_axis(&[4, 3, 2], &[4, 1, 1]), Some(0));
        assert_eq!(scaled_axis(&[4, 3, 2], &[1, 3, 1]), Some(1));
        assert_eq!(scaled_axis(&[1, 3], &[1, 1]), Some(0));
        for sides in [&[4, 1][..], &[3, 1, 1], &[4, 3, 1], &[1, 1, 1], &[]] {
            assert_eq!(scaled_axis(&[4, 3, 2], sides), None, "{sides:?}");
        }
        assert_eq!(scaled_axis(&[], &[]), None);
    }
}
