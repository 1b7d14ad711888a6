//! Feature maps and token lists, one element or one window at a time.

use burn::tensor::Tensor;

use super::super::{Activation, Depthwise3x3, Norm, Window};
use super::kernel::{Launch, shader};
use super::product::ACTIVATION;
use super::{LANES, buffer, empty, tensor, tiles};

/// Threads of a workgroup of the elementwise kernels.
const THREADS: usize = 64;
/// Threads that share a row of a LayerNorm.
const NORM_LANES: usize = 16;
/// Queries of a window that a workgroup takes, at most.
const QUERIES: usize = 56;

pub fn layer_norm(x: Tensor<3>, norm: &Norm, activation: Activation) -> Tensor<3> {
    let [b, l, channels] = x.dims();
    let x = buffer(&x);
    let out = empty(&x, [b, l, channels]);
    // A row alone waits for nobody.
    let lanes = if tiles::chosen().large.is_some() { NORM_LANES } else { 1 };
    Launch::new(&x, "layer_norm", &[ACTIVATION, shader!("layer_norm")])
        .constant("ACTIVATION", activation as usize)
        .constant("LANES", lanes)
        .number("EPSILON", norm.epsilon as f32)
        .read("x", &x)
        .read("gamma", &buffer(&norm.weight))
        .read("beta", &buffer(&norm.bias))
        .write("out", &out)
        .size("rows", b * l)
        .size("width", channels / LANES)
        .run_in_a_row((b * l).div_ceil(THREADS / lanes));
    tensor(out)
}

pub fn depthwise3x3(x: Tensor<3>, conv: &Depthwise3x3) -> Tensor<3> {
    depthwise(x, conv, 1, Activation::None)
}

/// As [`depthwise3x3`], with a stride and an activation.
pub fn depthwise(x: Tensor<3>, conv: &Depthwise3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let [h, w, channels] = x.dims();
    let (out_h, out_w) = (h.div_ceil(stride), w.div_ceil(stride));
    let x = buffer(&x);
    let out = empty(&x, [out_h, out_w, channels]);
    Launch::new(&x, "depthwise", &[ACTIVATION, shader!("depthwise")])
        .constant("ACTIVATION", activation as usize)
        .constant("STRIDE", stride)
        .read("x", &x)
        .read("taps", &buffer(&conv.weight))
        .read("tap_bias", &buffer(&conv.bias))
        .write("out", &out)
        .size("height", h)
        .size("width", w)
        .size("out_width", out_w)
        .size("channels", channels / LANES)
        .run([(out_w * channels / LANES).div_ceil(THREADS), out_h, 1]);
    tensor(out)
}

pub fn window_attention(qkv: Tensor<3>, window: &Window) -> Tensor<3> {
    let [h, w, packed] = qkv.dims();
    let heads = window.bias.dims()[0];
    let depth = packed / 3 / heads;
    let vectors = depth / LANES;
    let side = window.side;
    let qkv = buffer(&qkv);
    let out = empty(&qkv, [h, w, packed / 3]);
    let direct = tiles::chosen().large.is_none();
    let text = if direct { shader!("window_attention_direct") } else { shader!("window_attention") };
    let launch = Launch::new(&qkv, "window_attention", &[text])
        .constant("SIDE", side)
        .constant("HEADS", heads)
        .constant("DEPTH", vectors)
        .number("SCALE", 1.0 / (depth as f32).sqrt())
        .read("qkv", &qkv)
        .read_single("bias", "f32", &buffer(&window.bias))
        .read("pad", &buffer(&window.pad))
        .write("out", &out)
        .size("height", h)
        .size("width", w);
    let windows = [w.div_ceil(side), h.div_ceil(side)];
    if direct {
        launch.run([(heads * side * side).div_ceil(THREADS), windows[0], windows[1]]);
    } else {
        // As few workgroups to a window as can be, and as even.
        let groups = (side * side).div_ceil(QUERIES);
        let (split, step) = if tiles::chosen().roomy { (2, vectors) } else { (4, 2) };
        assert!(vectors.is_multiple_of(split) && vectors.is_multiple_of(step), "heads of {depth} channels");
        launch
            .constant("QUERIES", (side * side).div_ceil(groups))
            .constant("SPLIT", split)
            .constant("STEP", step)
            .size("side", side)
            .size("depth", vectors)
            .run([heads * groups, windows[0], windows[1]]);
    }
    tensor(out)
}
