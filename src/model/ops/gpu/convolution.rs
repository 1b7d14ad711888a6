//! 3×3 convolutions, read straight from the feature map.

use burn::tensor::Tensor;
use cubecl::prelude::*;

use super::super::{Activation, Conv3x3, Depthwise3x3};
use super::{LANES, activate, buffer, cubes, empty, tensor};

/// Neighbouring pixels of a row that a thread computes, of four output channels each.
const PIXELS: usize = 4;

pub fn conv3x3(x: Tensor<3>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let [h, w, channels] = x.dims();
    let outputs = conv.weight.dims()[1];
    let (out_h, out_w) = (h.div_ceil(stride), w.div_ceil(stride));
    let (x, weight, bias) = (buffer(&x), buffer(&conv.weight), buffer(&conv.bias));
    let out = empty(&x, [out_h, out_w, outputs]);
    let groups = out_w.div_ceil(PIXELS);
    let (count, dim) = cubes(&x, out_h * groups * (outputs / LANES));
    // SAFETY: a thread beyond the last row ends at once; pixels are clamped to the map.
    unsafe {
        conv3x3_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            h,
            w,
            channels,
            out_h,
            out_w,
            groups,
            outputs / LANES,
            stride,
            activation,
        );
    }
    tensor(out)
}

/// Where column `x` of a padded row lies: a real column, and 1 if it is one or 0 if it is padding.
#[cube]
fn column(x: usize, w: usize) -> (usize, f32) {
    // `x` counts from the padding: 0 is the padded column left of the map.
    let inside = x > 0 && x <= w;
    let column = select(inside, x, 1) - 1;
    (column, select(inside, 1.0, 0.0))
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn conv3x3_kernel<N: Size>(
    x: &[f32],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    h: usize,
    w: usize,
    channels: usize,
    out_h: usize,
    out_w: usize,
    groups: usize,
    outputs: usize,
    stride: usize,
    #[comptime] activation: Activation,
) {
    let output = ABSOLUTE_POS % outputs;
    let first = ABSOLUTE_POS / outputs % groups * PIXELS;
    let row = ABSOLUTE_POS / outputs / groups;
    if row >= out_h {
        terminate!();
    }
    let mut y0 = bias[output];
    let mut y1 = bias[output];
    let mut y2 = bias[output];
    let mut y3 = bias[output];
    for ky in 0..3usize {
        let source = row * stride + ky; // counted from the padding
        if source > 0 && source <= h {
            let line = (source - 1) * w;
            for kx in 0..3usize {
                let (c0, f0) = column(first * stride + kx, w);
                let (c1, f1) = column((first + 1) * stride + kx, w);
                let (c2, f2) = column((first + 2) * stride + kx, w);
                let (c3, f3) = column((first + 3) * stride + kx, w);
                let (at0, at1) = ((line + c0) * channels, (line + c1) * channels);
                let (at2, at3) = ((line + c2) * channels, (line + c3) * channels);
                let kernel = (ky * 3 + kx) * channels;
                for i in 0..channels {
                    let k = weight[(kernel + i) * outputs + output];
                    y0 += Vector::new(x[at0 + i] * f0) * k;
                    y1 += Vector::new(x[at1 + i] * f1) * k;
                    y2 += Vector::new(x[at2 + i] * f2) * k;
                    y3 += Vector::new(x[at3 + i] * f3) * k;
                }
            }
        }
    }
    let at = (row * out_w + first) * outputs + output;
    out[at] = activate::<N>(y0, activation);
    if first + 1 < out_w {
        out[at + outputs] = activate::<N>(y1, activation);
    }
    if first + 2 < out_w {
        out[at + 2 * outputs] = activate::<N>(y2, activation);
    }
    if first + 3 < out_w {
        out[at + 3 * outputs] = activate::<N>(y3, activation);
    }
}

pub fn depthwise3x3(x: Tensor<3>, conv: &Depthwise3x3) -> Tensor<3> {
    depthwise(x, conv, 1, Activation::None)
}

/// As [`depthwise3x3`], with a stride and an activation.
pub fn depthwise(x: Tensor<3>, conv: &Depthwise3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let [h, w, channels] = x.dims();
    let (out_h, out_w) = (h.div_ceil(stride), w.div_ceil(stride));
    let (x, weight, bias) = (buffer(&x), buffer(&conv.weight), buffer(&conv.bias));
    let out = empty(&x, [out_h, out_w, channels]);
    let (count, dim) = cubes(&x, out_h * out_w * (channels / LANES));
    // SAFETY: a thread beyond the last row ends at once; rows and columns outside the map are left out.
    unsafe {
        depthwise_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            h,
            w,
            channels / LANES,
            out_h,
            out_w,
            stride,
            activation,
        );
    }
    tensor(out)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn depthwise_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    h: usize,
    w: usize,
    channels: usize,
    out_h: usize,
    out_w: usize,
    stride: usize,
    #[comptime] activation: Activation,
) {
    let channel = ABSOLUTE_POS % channels;
    let column = ABSOLUTE_POS / channels % out_w;
    let row = ABSOLUTE_POS / channels / out_w;
    if row >= out_h {
        terminate!();
    }
    let mut y = bias[channel];
    #[unroll]
    for ky in 0..3usize {
        let source = row * stride + ky; // counted from the padding, as the column below
        if source > 0 && source <= h {
            #[unroll]
            for kx in 0..3usize {
                let from = column * stride + kx;
                if from > 0 && from <= w {
                    let at = ((source - 1) * w + from - 1) * channels + channel;
                    y += x[at] * weight[(ky * 3 + kx) * channels + channel];
                }
            }
        }
    }
    out[ABSOLUTE_POS] = activate::<N>(y, activation);
}
