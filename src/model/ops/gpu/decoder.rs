//! The steps of the mask decoder, a launch or two each.

use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;

use super::super::decoder::{CellPositions, CellProjection, Heads, MASKS, Projected, Settle, TokenProjection, Upscale};
use super::super::{Activation, Linear};
use super::kernel::{Launch, shader};
use super::product::{ACCUMULATE, ACTIVATION, add_residual};
use super::{LANES, buffer, empty, linear, tensor, tiles};

const TOKENS: &str = shader!("tokens");
const PROJECT: &str = shader!("project_tokens");
const NO_PROJECTION: &str = shader!("no_projection");
const SETTLE: &str = shader!("settle");
const MIXED: &str = shader!("take_up_mixed");
const NO_RESIDUAL: &str = shader!("no_residual");

/// Vectors of a token or a cell, of a cell's projection, of a head of it: what the kernels are written for.
const WIDTH: usize = 64;
const INNER: usize = 32;
const DEPTH: usize = 4;
/// Tokens of a workgroup of most kernels, and of the MLP's.
const ROWS: usize = 4;
const MLP_ROWS: usize = 8;
/// Hidden vectors of a share of the MLP.
const HIDDEN: usize = 32;
/// Cells that one thread attends to.
const KEYS: usize = 64;
/// Cells of a workgroup that looks back at tokens, and of one that upscales.
const BACK: usize = 16;
const UPSCALED: usize = 8;

/// The sizes that the kernels are written for; all of SAM's family has them.
fn assert_width(x: &Tensor<3>) {
    assert_eq!(x.dims()[2], WIDTH * LANES, "channels of a token or a cell");
}

/// What a projection of tokens is given and gives.
fn add_projection(launch: Launch, tokens: &Tensor<3>, by: &TokenProjection, next: &CubeTensor) -> Launch {
    launch
        .part(PROJECT)
        .read("tokens", &buffer(tokens))
        .read("next_weight", &buffer(&by.packed.weight))
        .write("next", next)
        .size("placed", by.placed / LANES)
        .size("next_outputs", by.packed.bias.dims()[0] / LANES)
        .size("width", WIDTH)
}

pub fn project_tokens(queries: Tensor<3>, tokens: &Tensor<3>, by: &TokenProjection) -> Tensor<3> {
    assert_width(&queries);
    let [b, t, _] = queries.dims();
    let outputs = by.packed.bias.dims()[0];
    let queries = buffer(&queries);
    let next = empty(&queries, [b, t, outputs]);
    let launch = Launch::new(&queries, "project_tokens", &[ACCUMULATE, TOKENS])
        .constant("NEXT_BIAS", 0)
        .read("queries", &queries)
        .read("vectors", &buffer(&by.packed.bias))
        .size("rows", b * t);
    add_projection(launch, tokens, by, &next).part(shader!("project_only")).run([
        outputs.div_ceil(WIDTH * LANES),
        (b * t).div_ceil(ROWS),
        1,
    ]);
    tensor(next)
}

/// Adds to a launch, which knows how tokens take something up, what becomes of that; and runs it.
fn settled(
    launch: Launch,
    on: &CubeTensor,
    [b, t]: [usize; 2],
    residual: Option<&Tensor<3>>,
    settle: &Settle,
    tokens: Option<&Tensor<3>>,
) -> (Tensor<3>, Option<Tensor<3>>) {
    let out = empty(on, [b, t, WIDTH * LANES]);
    let mut launch = launch
        .number("EPSILON", settle.norm.epsilon as f32)
        .read("vectors", &buffer(&settle.vectors))
        .write("out", &out)
        .size("rows", b * t);
    launch = match residual {
        None => launch.part(NO_RESIDUAL),
        Some(residual) => add_residual(launch, residual),
    };
    let next = match settle.next.as_ref().zip(tokens) {
        None => {
            launch = launch.part(NO_PROJECTION).size("next_outputs", 0);
            None
        }
        Some((by, tokens)) => {
            let next = empty(on, [b, t, by.packed.bias.dims()[0]]);
            // After the bias of what was taken up, and the norm's weight and bias.
            launch = add_projection(launch, tokens, by, &next).constant("NEXT_BIAS", 3 * WIDTH);
            Some(tensor(next))
        }
    };
    launch.part(SETTLE).run([(b * t).div_ceil(ROWS), 1, 1]);
    (tensor(out), next)
}

/// Of a step that prepares the next one.
fn both((queries, next): (Tensor<3>, Option<Tensor<3>>)) -> (Tensor<3>, Tensor<3>) {
    (queries, next.expect("this step prepares the next one"))
}

pub fn attend_self(
    qkv: Tensor<3>,
    queries: Option<Tensor<3>>,
    tokens: &Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> (Tensor<3>, Tensor<3>) {
    let [b, t, packed] = qkv.dims();
    assert_eq!(packed, 3 * WIDTH * LANES, "queries, keys and values of tokens");
    let depth = WIDTH * LANES / heads;
    let qkv = buffer(&qkv);
    let launch = Launch::new(&qkv, "settle_self", &[ACCUMULATE, TOKENS, shader!("mix_self"), MIXED])
        .constant("HEADS", heads)
        .constant("MIXED", WIDTH)
        .number("SCALE", 1.0 / (depth as f32).sqrt())
        .read("qkv", &qkv)
        .read("weight", &buffer(&settle.project.weight))
        .size("tokens", t)
        .size("mixed", WIDTH);
    both(settled(launch, &qkv, [b, t], queries.as_ref(), settle, Some(tokens)))
}

pub fn project_positions(encoding: Tensor<3>, by: &CellProjection) -> CellPositions {
    let [b, l, _] = encoding.dims();
    // Without the bias, which the projection of the cells adds; values have no positions.
    let unbiased = Linear { bias: by.packed.bias.zeros_like(), ..by.packed.clone() };
    let columns = by.packed.bias.dims()[0] - by.inner;
    let projected = linear(encoding, &unbiased, Activation::None, None);
    // Made contiguous once, not by each product that adds it.
    CellPositions::Packed(tensor(buffer(&projected.slice([0..b, 0..l, 0..columns]))))
}

pub fn project_cells(x: Tensor<3>, by: &CellProjection, positions: &CellPositions) -> Projected {
    let CellPositions::Packed(positions) = positions else { unreachable!("a GPU packs positions") };
    Projected::Packed(linear(x, &by.packed, Activation::None, Some(positions.clone())))
}

fn packed(cells: &Projected) -> &Tensor<3> {
    match cells {
        Projected::Packed(cells) => cells,
        _ => unreachable!("a GPU packs projections"),
    }
}

/// How far the next batch element is, in vectors: nowhere, where all share one.
fn step(x: &Tensor<3>) -> usize {
    let [b, l, c] = x.dims();
    if b == 1 { 0 } else { l * c / LANES }
}

pub fn attend_image(q: Tensor<3>, cells: &Projected, queries: Tensor<3>, settle: &Settle, heads: usize) -> Tensor<3> {
    let [b, t, inner] = q.dims();
    assert_eq!([inner, inner / heads], [INNER * LANES, DEPTH * LANES], "a token's query and a head of it");
    let cells = packed(cells);
    let [_, l, stride] = cells.dims();
    let parts = l.div_ceil(KEYS);
    let q = buffer(&q);
    let mixes = empty(&q, [parts, b * t, inner]);
    let weights = empty(&q, [parts, b * t, heads]);
    Launch::new(&q, "attend_image", &[shader!("attend_image")])
        .constant("HEADS", heads)
        .constant("KEYS", KEYS)
        .constant("BATCH", if tiles::chosen().roomy { 4 } else { 1 })
        .number("SCALE", 1.0 / ((inner / heads) as f32).sqrt())
        .read("queries", &q)
        .read("projected", &buffer(cells))
        .write("parts", &mixes)
        .write_single("weights", &weights)
        .size("prompts", b)
        .size("tokens", t)
        .size("cells", l)
        .size("step", step(cells))
        .size("stride", stride / LANES)
        // Values are the last of a cell's projections.
        .size("values", (stride - inner) / LANES)
        .run([parts, (t * heads).div_ceil(64), b]);
    let launch = Launch::new(&q, "settle_image", &[ACCUMULATE, TOKENS, shader!("mix_parts"), MIXED])
        .constant("HEADS", heads)
        .constant("MIXED", INNER)
        .read("parts", &mixes)
        .read_single("weights", "f32", &weights)
        .read("weight", &buffer(&settle.project.weight))
        .size("parts", parts)
        .size("mixed", INNER);
    settled(launch, &q, [b, t], Some(&queries), settle, None).0
}

pub fn mlp(queries: Tensor<3>, tokens: &Tensor<3>, wide: &Linear, settle: &Settle) -> (Tensor<3>, Tensor<3>) {
    assert_width(&queries);
    let [b, t, _] = queries.dims();
    let hidden = wide.bias.dims()[0] / LANES;
    assert!(hidden.is_multiple_of(HIDDEN), "{hidden} hidden vectors");
    let shares = hidden / HIDDEN;
    let x = buffer(&queries);
    let parts = empty(&x, [shares, b * t, WIDTH * LANES]);
    Launch::new(&x, "mlp", &[ACCUMULATE, shader!("mlp")])
        .read("queries", &x)
        .read("wide_weight", &buffer(&wide.weight))
        .read("wide_bias", &buffer(&wide.bias))
        .read("weight", &buffer(&settle.project.weight))
        .write("parts", &parts)
        .size("rows", b * t)
        .size("hidden", hidden)
        .size("width", WIDTH)
        .size("share", HIDDEN)
        .run([shares, (b * t).div_ceil(MLP_ROWS), 1]);
    let launch = Launch::new(&x, "settle_mlp", &[ACCUMULATE, TOKENS, shader!("take_up_shares")])
        .read("parts", &parts)
        .size("shares", shares);
    both(settled(launch, &x, [b, t], Some(&queries), settle, Some(tokens)))
}

pub fn attend_tokens(
    x: Tensor<3>,
    cells: &Projected,
    keys_values: Tensor<3>,
    settle: &Settle,
    heads: usize,
) -> Tensor<3> {
    assert_width(&x);
    let cells = packed(cells);
    let ([_, l, stride], [b, t, both]) = (cells.dims(), keys_values.dims());
    let inner = both / 2;
    assert_eq!([inner, inner / heads], [INNER * LANES, DEPTH * LANES], "a token's key and a head of it");
    assert_eq!(stride, 3 * inner, "these cells do not look back");
    let on = buffer(&x);
    let out = empty(&on, [b, l, WIDTH * LANES]);
    Launch::new(&on, "attend_tokens", &[ACCUMULATE, shader!("attend_tokens")])
        .constant("HEADS", heads)
        .number("SCALE", 1.0 / ((inner / heads) as f32).sqrt())
        .number("EPSILON", settle.norm.epsilon as f32)
        .read("projected", &buffer(cells))
        .read("keys_values", &buffer(&keys_values))
        .read("x", &on)
        .read("weight", &buffer(&settle.project.weight))
        .read("vectors", &buffer(&settle.vectors))
        .write("out", &out)
        .size("tokens", t)
        .size("cells", l)
        .size("projected_step", step(cells))
        .size("stride", stride / LANES)
        // Queries come after the keys.
        .size("queries", INNER)
        .size("x_step", step(&x))
        .size("mixed", INNER)
        .size("lanes", 256 / BACK)
        .run([l.div_ceil(BACK), b, 1]);
    tensor(out)
}

pub fn heads(queries: Tensor<3>, heads: &Heads) -> Tensor<3> {
    assert_width(&queries);
    let [b, t, _] = queries.dims();
    let networks = 1 + MASKS;
    let outputs = heads.outer_bias.dims()[0] / networks;
    let queries = buffer(&queries);
    let out = empty(&queries, [b, networks, outputs]);
    Launch::new(&queries, "heads", &[ACCUMULATE, shader!("heads")])
        .constant("NETWORKS", networks)
        .constant("OUTPUTS", outputs / LANES)
        .read("queries", &queries)
        .read("inner", &buffer(&heads.inner))
        .read("inner_bias", &buffer(&heads.inner_bias))
        .read("outer", &buffer(&heads.outer))
        .read("outer_bias", &buffer(&heads.outer_bias))
        .write("out", &out)
        .size("tokens", t)
        .run([networks, b, 1]);
    tensor(out)
}

pub fn upscale(x: Tensor<3>, heads: Tensor<3>, [rows, columns]: [usize; 2], by: &Upscale) -> Tensor<4> {
    assert_width(&x);
    let [b, cells, _] = x.dims();
    let seen = rows * columns;
    let x = buffer(&x);
    let out = empty(&x, [b, MASKS, 16 * seen]);
    Launch::new(&x, "upscale", &[ACTIVATION, ACCUMULATE, shader!("upscale")])
        .constant("ACTIVATION", Activation::Gelu as usize)
        .number("EPSILON", by.norm.epsilon as f32)
        .read("x", &x)
        .read("weight1", &buffer(&by.first.weight))
        .read("weight2", &buffer(&by.second.weight))
        .read("vectors", &buffer(&by.vectors))
        .read("heads", &buffer(&heads))
        .write_single("out", &out)
        .size("cells", cells)
        .size("grid", cells.isqrt())
        .size("seen", seen)
        .size("columns", columns)
        .size("width", WIDTH)
        .size("quarter", WIDTH / 4)
        .run([seen.div_ceil(UPSCALED), b, 1]);
    tensor(out).reshape([b, MASKS, 4 * rows, 4 * columns])
}
