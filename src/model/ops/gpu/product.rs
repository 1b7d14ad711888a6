//! Matrix products, and what is one in disguise: convolutions.

use burn::backend::Wgpu;
use burn::tensor::{Int, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::super::{Activation, Bottleneck, Conv3x3, Depthwise3x3, Linear, Norm, PixelConv};
use super::kernel::{Launch, shader};
use super::{LANES, buffer, depthwise, empty, layer_norm, tensor, tiles};

pub const ACTIVATION: &str = shader!("activation");
pub const ACCUMULATE: &str = shader!("accumulate");
const TILED: &str = shader!("product_tiled");
const DIRECT: &str = shader!("product_direct");

/// The left factor of a product, as a kernel loads it.
enum Left<'a> {
    Rows,
    /// Normalised over the channels on the way in.
    Normed(&'a Norm),
    /// The windows of a 3×3 convolution.
    Patches(Map),
    /// The windows of a 3×3 convolution over packed pixels.
    Pixels(Map, &'a PixelConv),
    /// A depthwise 3×3 convolution with GELU.
    Convolved(Map, &'a Depthwise3x3),
}

/// A feature map under a 3×3 window.
struct Map {
    height: usize,
    width: usize,
    stride: usize,
    /// Of the result.
    out_width: usize,
    /// In vectors of four.
    channels: usize,
}

impl Map {
    fn of([height, width, channels]: [usize; 3], stride: usize) -> Self {
        Map { height, width, stride, out_width: width.div_ceil(stride), channels: channels / LANES }
    }
}

/// What a product is computed of, besides its left factor.
struct Right<'a> {
    weight: &'a Tensor<2>,
    bias: &'a Tensor<1>,
    residual: Option<&'a Tensor<3>>,
    activation: Activation,
}

pub fn linear(x: Tensor<3>, layer: &Linear, activation: Activation, residual: Option<Tensor<3>>) -> Tensor<3> {
    let [b, l, inputs] = x.dims();
    let right = Right { weight: &layer.weight, bias: &layer.bias, residual: residual.as_ref(), activation };
    product(&buffer(&x), b * l, inputs, Left::Rows, right, [b, l])
}

pub fn norm_linear(x: Tensor<3>, norm: &Norm, layer: &Linear, activation: Activation) -> Tensor<3> {
    let [b, l, inputs] = x.dims();
    let outputs = layer.bias.dims()[0];
    if tiles::chosen().tile(b * l, inputs / LANES, outputs / LANES).is_none() {
        // Where nothing is cut, every thread would have to normalise its rows for itself.
        return linear(layer_norm(x, norm, Activation::None), layer, activation, None);
    }
    let right = Right { weight: &layer.weight, bias: &layer.bias, residual: None, activation };
    product(&buffer(&x), b * l, inputs, Left::Normed(norm), right, [b, l])
}

pub fn feed_forward(x: Tensor<3>, norm: &Norm, widen: &Linear, narrow: &Linear) -> Tensor<3> {
    let hidden = norm_linear(x.clone(), norm, widen, Activation::Gelu);
    linear(hidden, narrow, Activation::None, Some(x))
}

pub fn conv3x3(x: Tensor<3>, conv: &Conv3x3, stride: usize, activation: Activation) -> Tensor<3> {
    let map = Map::of(x.dims(), stride);
    let (out_h, out_w) = (map.height.div_ceil(stride), map.out_width);
    let right = Right { weight: &conv.weight, bias: &conv.bias, residual: None, activation };
    let inputs = 9 * map.channels * LANES;
    product(&buffer(&x), out_h * out_w, inputs, Left::Patches(map), right, [out_h, out_w])
}

pub fn embed_pixels(pixels: Tensor<2, Int>, conv: &PixelConv, activation: Activation) -> Tensor<3> {
    let [h, w] = pixels.dims();
    let map = Map::of([h, w, LANES], 2);
    let (out_h, out_w) = (h.div_ceil(2), map.out_width);
    let right = Right { weight: &conv.packed.weight, bias: &conv.packed.bias, residual: None, activation };
    let pixels = into_contiguous(pixels.try_into_primitive::<Wgpu>().expect("packed pixels are a GPU's"));
    product(&pixels, out_h * out_w, 9 * LANES, Left::Pixels(map, conv), right, [out_h, out_w])
}

/// Cells of a side of the square that a workgroup of the fused MBConv makes, and the outputs that it is written for.
const MBCONV_SIDE: usize = 8;
const MBCONV_OUTPUTS: usize = 16;
/// Vectors of expanded channels that it makes at once.
const MBCONV_CHUNK: usize = 8;

pub fn bottleneck(x: Tensor<3>, block: &Bottleneck) -> Tensor<3> {
    let hidden = block.expand.bias.dims()[0] / LANES;
    let fused = block.residual
        && block.stride == 1
        && hidden.is_multiple_of(MBCONV_CHUNK)
        && block.project.bias.dims()[0] / LANES == MBCONV_OUTPUTS
        && tiles::chosen().large.is_some();
    if fused {
        return mbconv(x, block, hidden);
    }
    let wide = linear(x.clone(), &block.expand, Activation::Gelu, None);
    let map = Map::of(wide.dims(), block.stride);
    let (out_h, out_w) = (map.height.div_ceil(block.stride), map.out_width);
    let (activation, residual) = if block.residual { (Activation::Gelu, Some(&x)) } else { (Activation::None, None) };
    let right = Right { weight: &block.project.weight, bias: &block.project.bias, residual, activation };
    let inputs = map.channels * LANES;
    if tiles::chosen().tile(out_h * out_w, map.channels, block.project.bias.dims()[0] / LANES).is_none() {
        // Where nothing is cut, every thread would have to convolve for itself.
        let wide = depthwise(wide, &block.depthwise, block.stride, Activation::Gelu);
        return product(&buffer(&wide), out_h * out_w, inputs, Left::Rows, right, [out_h, out_w]);
    }
    product(&buffer(&wide), out_h * out_w, inputs, Left::Convolved(map, &block.depthwise), right, [out_h, out_w])
}

/// MBConv in one launch, without its expanded map.
fn mbconv(x: Tensor<3>, block: &Bottleneck, hidden: usize) -> Tensor<3> {
    let [h, w, inputs] = x.dims();
    let x = buffer(&x);
    let out = empty(&x, [h, w, MBCONV_OUTPUTS * LANES]);
    // A thread expands so many cells at once, and so the tile is as large as all threads' cells.
    let (height, threads, together) = if tiles::chosen().roomy { (8, 128, 7) } else { (4, 256, 1) };
    let cells = (height + 2) * (MBCONV_SIDE + 2);
    Launch::new(&x, "mbconv", &[ACTIVATION, ACCUMULATE, shader!("mbconv")])
        .constant("ACTIVATION", Activation::Gelu as usize)
        .constant("OUTPUTS", MBCONV_OUTPUTS)
        .constant("HEIGHT", height)
        .constant("THREADS", threads)
        .constant("TOGETHER", together)
        .read("x", &x)
        .read("expand", &buffer(&block.expand.weight))
        .read("taps", &buffer(&block.depthwise.weight))
        .read("project", &buffer(&block.project.weight))
        .read("biases", &buffer(&block.biases))
        .write("out", &out)
        .size("height", h)
        .size("width", w)
        .size("inputs", inputs / LANES)
        .size("hidden", hidden)
        .size("chunk", MBCONV_CHUNK)
        .size("expanded", cells.div_ceil(threads / MBCONV_CHUNK))
        .size("taps", 9)
        .run([w.div_ceil(MBCONV_SIDE), h.div_ceil(height), 1]);
    tensor(out)
}

/// `activation(left·weight + bias + residual)` for `rows` rows of `inputs` numbers; `shape` is what the rows stand for.
fn product(
    x: &CubeTensor,
    rows: usize,
    inputs: usize,
    left: Left<'_>,
    right: Right<'_>,
    shape: [usize; 2],
) -> Tensor<3> {
    let outputs = right.bias.dims()[0];
    assert!(inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES), "{inputs} inputs and {outputs} outputs");
    assert_eq!(right.weight.dims(), [inputs, outputs], "a product's weight");
    let out = empty(x, [shape[0], shape[1], outputs]);
    let (inputs, outputs) = (inputs / LANES, outputs / LANES);
    // Packed pixels have too few channels for a tile.
    let tile = match left {
        Left::Pixels(..) => None,
        _ => tiles::chosen().tile(rows, inputs, outputs),
    };
    let name = match left {
        Left::Rows => "product",
        Left::Normed(_) => "product_of_norms",
        Left::Patches(_) => "convolution",
        Left::Pixels(..) => "convolution_of_pixels",
        Left::Convolved(..) => "product_of_convolutions",
    };
    let mut launch = Launch::new(x, name, &[ACTIVATION, ACCUMULATE])
        .constant("ACTIVATION", right.activation as usize)
        .size("rows", rows)
        .size("inputs", inputs)
        .size("outputs", outputs);
    launch = match &left {
        Left::Pixels(..) => launch.read_single("x", "u32", x),
        _ => launch.read("x", x),
    };
    launch = launch.read("weight", &buffer(right.weight)).read("bias", &buffer(right.bias));
    let over = |launch: Launch, map: &Map| {
        launch
            .constant("STRIDE", map.stride)
            .size("height", map.height)
            .size("width", map.width)
            .size("out_width", map.out_width)
    };
    launch = match left {
        Left::Rows => launch.part(shader!("load_rows")),
        Left::Normed(norm) => launch
            .part(shader!("load_normed"))
            .number("EPSILON", norm.epsilon as f32)
            .read("gamma", &buffer(&norm.weight))
            .read("beta", &buffer(&norm.bias)),
        Left::Patches(map) => over(launch, &map).part(shader!("load_patches")).constant("CHANNELS", map.channels),
        Left::Pixels(map, conv) => {
            let [mean, deviation] = [conv.mean, conv.deviation];
            over(launch, &map)
                .part(shader!("load_pixels"))
                .number("MEAN_R", mean[0])
                .number("MEAN_G", mean[1])
                .number("MEAN_B", mean[2])
                .number("DEVIATION_R", deviation[0])
                .number("DEVIATION_G", deviation[1])
                .number("DEVIATION_B", deviation[2])
        }
        Left::Convolved(map, conv) => over(launch, &map)
            .part(shader!("load_depthwise"))
            .read("taps", &buffer(&conv.weight))
            .read("tap_bias", &buffer(&conv.bias)),
    };
    launch = match right.residual {
        None => launch.part(shader!("no_residual")),
        Some(residual) => add_residual(launch, residual),
    };
    launch = launch.write("out", &out);
    match tile {
        Some(tile) => launch
            .part(TILED)
            .constant("TILE_ROWS", tile.rows)
            .constant("TILE_COLUMNS", tile.columns)
            .constant("TILE_DEPTH", tile.depth)
            .constant("ROWS", tile.thread_rows)
            .constant("COLUMNS", tile.thread_columns)
            .replace("DEPTH_BOUND", if tile.unrolled { "TILE_DEPTH" } else { "sizes.depth" })
            .size("depth", tile.depth)
            .run([outputs.div_ceil(tile.columns), rows.div_ceil(tile.rows), 1]),
        None => {
            // Two columns spill where registers are few, and halve the loads where each is a program's work.
            let columns = if tiles::chosen().large.is_none() { 2 } else { 1 };
            let threads = rows.div_ceil(DIRECT_ROWS) * outputs.div_ceil(columns);
            launch.part(DIRECT).constant("COLUMNS", columns).run_in_a_row(threads.div_ceil(DIRECT_THREADS))
        }
    }
    tensor(out)
}

/// Of a direct product: rows that a thread computes, and threads of a workgroup.
const DIRECT_ROWS: usize = 4;
const DIRECT_THREADS: usize = 64;

/// The part of a kernel that adds a residual `[B, L, C]`, whose rows repeat and whose columns may be fewer.
pub fn add_residual(launch: Launch, residual: &Tensor<3>) -> Launch {
    let [b, l, columns] = residual.dims();
    launch
        .part(shader!("residual"))
        .read("residual", &buffer(residual))
        .size("residual_rows", b * l)
        .size("residual_columns", columns / LANES)
}
