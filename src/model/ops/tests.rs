//! The CPU's operations against the portable ones, on small shapes with every edge: sides that no tile, window or stride
//! divides, channels that no vector does, single rows, shared batches. What every device must do is in [`devices`].

mod devices;

use burn::tensor::{Device, Tensor, TensorData};

use super::known::Samples;
use super::*;

/// Numbers in [-1, 1) from a seed, so that a failure can be repeated.
fn numbers<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    Samples { device: Device::flex() }.numbers(seed, shape)
}

fn linear_layer(seed: u64, inputs: usize, outputs: usize) -> Linear {
    Linear { weight: numbers(seed, [inputs, outputs]), bias: numbers(seed + 1, [outputs]) }
}

fn depthwise_layer(seed: u64, channels: usize) -> Depthwise3x3 {
    Depthwise3x3 { weight: numbers(seed, [9, channels]), bias: numbers(seed + 1, [channels]) }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[track_caller]
fn assert_close(fused: Tensor<3>, portable: Tensor<3>) {
    assert_eq!(fused.dims(), portable.dims());
    let (fused, portable) = (values(fused), values(portable));
    let scale = portable.iter().fold(1.0f32, |a, b| a.max(b.abs()));
    for (i, (a, b)) in fused.iter().zip(&portable).enumerate() {
        assert!((a - b).abs() <= 3e-6 * scale, "element {i}: {a} instead of {b}");
    }
}

#[test]
fn linear_with_every_activation_and_residual() {
    // 700 rows of 100 outputs: several tiles, the last one not whole.
    for (batch, rows, inputs, outputs) in [(1, 1, 3, 1), (2, 700, 33, 100), (3, 7, 256, 2048)] {
        let x = numbers(1, [batch, rows, inputs]);
        let layer = linear_layer(2, inputs, outputs);
        for activation in [Activation::None, Activation::Gelu, Activation::Relu] {
            for residual in [None, Some(1), Some(batch)] {
                let residual = residual.map(|b| numbers(4, [b, rows, outputs]));
                assert_close(
                    cpu::linear(x.clone(), &layer, activation, residual.clone()),
                    portable::linear(x.clone(), &layer, activation, residual),
                );
            }
        }
    }
}

#[test]
fn layer_norm_of_any_width() {
    for (rows, channels) in [(1, 4), (3, 16), (300, 160), (5, 257)] {
        let norm = Norm { weight: numbers(1, [channels]), bias: numbers(2, [channels]), epsilon: 1e-5 };
        let x = numbers(3, [2, rows, channels]) * 3.0 + 1.0;
        for activation in [Activation::None, Activation::Gelu] {
            assert_close(
                cpu::layer_norm(x.clone(), &norm, activation),
                portable::layer_norm(x.clone(), &norm, activation),
            );
        }
    }
}

#[test]
fn layer_norm_keeps_its_epsilon_where_the_variance_is_low() {
    // A variance of 1e-6 is the size of the epsilons: 1e-5 and 1e-6 give results a factor of 2.3 apart.
    for epsilon in [1e-5, 1e-6] {
        let norm = Norm { weight: numbers(1, [4]) * 0.0 + 1.0, bias: numbers(2, [4]) * 0.0, epsilon };
        let x = Tensor::from_data(TensorData::new(vec![0.499f32, 0.501, 0.501, 0.499], [1, 1, 4]), &Device::flex());
        let expected = 1e-3 / (1e-6 + epsilon).sqrt() as f32;
        for y in [
            values(cpu::layer_norm(x.clone(), &norm, Activation::None)),
            values(portable::layer_norm(x, &norm, Activation::None)),
        ] {
            assert!((y[1] - expected).abs() < 1e-3 * expected && (y[0] + expected).abs() < 1e-3 * expected, "{y:?}");
        }
    }
}

#[test]
fn conv3x3_at_both_strides() {
    for (h, w, inputs, outputs) in [(1, 1, 3, 5), (5, 8, 3, 32), (12, 7, 16, 9)] {
        let conv = Conv3x3 { weight: numbers(1, [9 * inputs, outputs]), bias: numbers(2, [outputs]) };
        let x = numbers(3, [h, w, inputs]);
        for stride in [1, 2] {
            assert_close(
                cpu::conv3x3(x.clone(), &conv, stride, Activation::Gelu),
                portable::conv3x3(x.clone(), &conv, stride, Activation::Gelu),
            );
        }
    }
}

/// What a photo that is no square leaves of a map: from some row on all are alike, but for the map's edges. Rows that are
/// copied are those that would have been computed, wherever a run of them begins and ends.
#[test]
fn rows_that_are_copied_are_those_computed() {
    let (h, w, c) = (80, 5, 8);
    for (first, end) in [(0, h), (0, 3), (1, 4), (7, 12), (60, h), (h - 2, h)] {
        let mut rows = values(numbers(1, [h, w, c]));
        for row in first + 1..end {
            rows.copy_within(first * w * c..(first + 1) * w * c, row * w * c);
        }
        let x = Tensor::<3>::from_data(TensorData::new(rows, [h, w, c]), &Device::flex());
        let conv = Conv3x3 { weight: numbers(2, [9 * c, 6]), bias: numbers(3, [6]) };
        for stride in [1, 2] {
            let block = Bottleneck {
                expand: linear_layer(4, c, 24),
                depthwise: depthwise_layer(6, 24),
                project: linear_layer(8, 24, c),
                stride,
                residual: stride == 1,
                biases: numbers(10, [24 + 24 + c]),
            };
            let of = |x: &Tensor<3>| {
                (cpu::conv3x3(x.clone(), &conv, stride, Activation::Gelu), cpu::bottleneck(x.clone(), &block))
            };
            let (convolved, blocked) = of(&x);
            assert_close(convolved.clone(), portable::conv3x3(x.clone(), &conv, stride, Activation::Gelu));
            assert_close(blocked.clone(), portable::bottleneck(x.clone(), &block));
            // Of a map in which nothing repeats, a row has the same numbers: here three rows around each one.
            for y in 1..h.div_ceil(stride) - 1 {
                let around = x.clone().slice([y * stride - 1..y * stride + 2, 0..w, 0..c]);
                let haloed = || Haloed { rows: around.clone(), above: 1, below: 1 };
                let row = |all: &Tensor<3>| values(all.clone().slice_dim(0, y..y + 1));
                let (alone, block_alone) =
                    (cpu::conv3x3(haloed(), &conv, stride, Activation::Gelu), cpu::bottleneck(haloed(), &block));
                assert!(row(&convolved) == values(alone), "row {y}, {first}..{end}, stride {stride}");
                assert!(row(&blocked) == values(block_alone), "row {y} of a block, {first}..{end}, stride {stride}");
            }
        }
    }
}

#[test]
fn depthwise3x3_of_any_side() {
    for (h, w, channels) in [(1, 1, 1), (2, 9, 16), (16, 5, 33)] {
        let conv = depthwise_layer(1, channels);
        let x = numbers(3, [h, w, channels]);
        assert_close(cpu::depthwise3x3(x.clone(), &conv), portable::depthwise3x3(x, &conv));
    }
}

#[test]
fn bottleneck_as_mbconv_and_as_patch_merging() {
    // 70 rows: more than one band.
    for (h, w) in [(1, 1), (4, 6), (70, 3)] {
        for (stride, residual, outputs) in [(1, true, 8), (2, false, 12), (1, false, 12)] {
            let block = Bottleneck {
                expand: linear_layer(1, 8, 24),
                depthwise: depthwise_layer(3, 24),
                project: linear_layer(5, 24, outputs),
                stride,
                residual,
                biases: numbers(9, [24 + 24 + outputs]),
            };
            let x = numbers(7, [h, w, 8]);
            assert_close(cpu::bottleneck(x.clone(), &block), portable::bottleneck(x, &block));
        }
    }
}

#[test]
fn window_attention_with_and_without_padding() {
    for (h, w, side) in [(7, 7, 7), (8, 16, 7), (4, 4, 14), (13, 6, 3)] {
        let (heads, depth) = (2, 8);
        let channels = heads * depth;
        let window =
            Window { side, bias: numbers(1, [heads, side * side, side * side]), pad: numbers(2, [3 * channels]) };
        let qkv = numbers(3, [h, w, 3 * channels]) * 2.0;
        assert_close(cpu::window_attention(qkv.clone(), &window), portable::window_attention(qkv, &window));
    }
}

#[test]
fn attention_with_shared_batches() {
    for (queries, keys) in [(7, 600), (600, 9), (5, 5)] {
        for (qb, kb) in [(1, 1), (3, 1), (1, 3), (3, 3)] {
            let q = numbers(1, [qb, queries, 32]) * 3.0;
            let (k, v) = (numbers(2, [kb, keys, 32]) * 3.0, numbers(3, [kb, keys, 32]));
            assert_close(cpu::attention(q.clone(), k.clone(), v.clone(), 4), portable::attention(q, k, v, 4));
        }
    }
}
