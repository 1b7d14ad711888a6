//! Matrix products and norms.

use burn::tensor::Tensor;
use cubecl::prelude::*;

use super::super::{Activation, Linear, Norm};
use super::{LANES, activate, buffer, cubes, empty, tensor};

/// Rows that a thread computes, of four columns each: as many as leave it its registers.
const ROWS: usize = 4;

pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, inputs] = x.dims();
    let outputs = layer.weight.dims()[1];
    let (x, weight, bias) = (buffer(&x), buffer(&layer.weight), buffer(&layer.bias));
    let out = empty(&x, [b, l, outputs]);
    let residual = residual.map(|r| buffer(&r));
    // A residual of one batch element is shared by all.
    let residual_rows = residual.as_ref().map_or(1, |r| r.meta.shape().num_elements() / outputs);
    let rows = b * l;
    let (count, dim) = cubes(&x, rows.div_ceil(ROWS) * (outputs / LANES));
    // SAFETY: a thread beyond the last row or column ends at once, and rows are clamped to the last.
    unsafe {
        linear_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            residual.map(|r| r.into_buffer_arg()).into(),
            out.clone().into_buffer_arg(),
            rows,
            inputs / LANES,
            outputs / LANES,
            residual_rows,
            activation,
        );
    }
    tensor(out)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn linear_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    residual: ComptimeOption<&[Vector<f32, N>]>,
    out: &mut [Vector<f32, N>],
    rows: usize,
    inputs: usize,
    outputs: usize,
    residual_rows: usize,
    #[comptime] activation: Activation,
) {
    let column = ABSOLUTE_POS % outputs;
    let first = ABSOLUTE_POS / outputs * ROWS;
    if first >= rows {
        terminate!();
    }
    let last = rows - 1;
    let (row0, row1) = (first, (first + 1).min(last));
    let (row2, row3) = ((first + 2).min(last), (first + 3).min(last));
    let (at0, at1, at2, at3) = (row0 * inputs, row1 * inputs, row2 * inputs, row3 * inputs);
    let mut y0 = bias[column];
    let mut y1 = bias[column];
    let mut y2 = bias[column];
    let mut y3 = bias[column];
    for i in 0..inputs {
        let (x0, x1, x2, x3) = (x[at0 + i], x[at1 + i], x[at2 + i], x[at3 + i]);
        #[unroll]
        for lane in 0..LANES {
            let w = weight[(i * LANES + lane) * outputs + column];
            y0 += Vector::new(x0.extract(lane)) * w;
            y1 += Vector::new(x1.extract(lane)) * w;
            y2 += Vector::new(x2.extract(lane)) * w;
            y3 += Vector::new(x3.extract(lane)) * w;
        }
    }
    #[comptime]
    if let ComptimeOption::Some(residual) = &residual {
        y0 += residual[row0 % residual_rows * outputs + column];
        y1 += residual[row1 % residual_rows * outputs + column];
        y2 += residual[row2 % residual_rows * outputs + column];
        y3 += residual[row3 % residual_rows * outputs + column];
    }
    out[row0 * outputs + column] = activate::<N>(y0, activation);
    if first + 1 < rows {
        out[row1 * outputs + column] = activate::<N>(y1, activation);
    }
    if first + 2 < rows {
        out[row2 * outputs + column] = activate::<N>(y2, activation);
    }
    if first + 3 < rows {
        out[row3 * outputs + column] = activate::<N>(y3, activation);
    }
}

pub fn layer_norm(x: Tensor<3>, norm: &Norm, activation: Activation) -> Tensor<3> {
    let [b, l, channels] = x.dims();
    let (x, weight, bias) = (buffer(&x), buffer(&norm.weight), buffer(&norm.bias));
    let out = empty(&x, [b, l, channels]);
    let (count, dim) = cubes(&x, b * l);
    // SAFETY: a thread beyond the last row ends at once.
    unsafe {
        layer_norm_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            b * l,
            channels / LANES,
            norm.epsilon as f32,
            activation,
        );
    }
    tensor(out)
}

/// One row to a thread. The deviations are summed in a second pass: `mean(x²) − mean²` cancels.
#[cube(launch_unchecked)]
fn layer_norm_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    rows: usize,
    width: usize,
    epsilon: f32,
    #[comptime] activation: Activation,
) {
    if ABSOLUTE_POS >= rows {
        terminate!();
    }
    let at = ABSOLUTE_POS * width;
    let channels = f32::cast_from(width * LANES);
    let mut total = Vector::<f32, N>::new(0.0);
    for i in 0..width {
        total += x[at + i];
    }
    let mean = Vector::new(lanes::<N>(total) / channels);
    let mut deviation = Vector::<f32, N>::new(0.0);
    for i in 0..width {
        let d = x[at + i] - mean;
        deviation += d * d;
    }
    let scale = Vector::new(1.0 / f32::sqrt(lanes::<N>(deviation) / channels + epsilon));
    for i in 0..width {
        out[at + i] = activate::<N>((x[at + i] - mean) * scale * weight[i] + bias[i], activation);
    }
}

/// The sum of a vector's numbers.
#[cube]
pub fn lanes<N: Size>(x: Vector<f32, N>) -> f32 {
    x.extract(0usize) + x.extract(1usize) + x.extract(2usize) + x.extract(3usize)
}

pub fn combine(weights: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let [b, masks, channels] = weights.dims();
    let cells = x.dims()[1];
    let (weights, x) = (buffer(&weights), buffer(&x));
    let out = empty(&x, [b, masks, cells]);
    let (count, dim) = cubes(&x, b * masks * cells);
    // SAFETY: a thread beyond the last cell ends at once.
    unsafe {
        combine_kernel::launch_unchecked(
            &out.client.clone(),
            count,
            dim,
            LANES,
            weights.into_buffer_arg(),
            x.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            b * masks * cells,
            masks,
            cells,
            channels / LANES,
        );
    }
    tensor(out)
}

#[cube(launch_unchecked)]
fn combine_kernel<N: Size>(
    weights: &[Vector<f32, N>],
    x: &[Vector<f32, N>],
    out: &mut [f32],
    units: usize,
    masks: usize,
    cells: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let cell = ABSOLUTE_POS % cells;
    let row = ABSOLUTE_POS / cells; // of weights: prompt and mask
    let at = (row / masks * cells + cell) * width;
    let mut sum = Vector::<f32, N>::new(0.0);
    for i in 0..width {
        sum += weights[row * width + i] * x[at + i];
    }
    out[ABSOLUTE_POS] = lanes::<N>(sum);
}
