//! Known answers: every kernel of the network on fixed small inputs, and what comes out where it is right.
//!
//! Drivers miscompile (u32 division on Apple GPUs, vectors with NaN on Qualcomm's, to name two that Chromium had to work
//! round), and nothing else would notice: a mask would simply be wrong. So a GPU answers these once, when the model is
//! loaded; they also compile most kernels of an encode before the first photo comes.

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use super::decoder::{self, CellProjection, Heads, Settle, TokenProjection, Upscale};
use super::*;
use crate::{Error, Result};

/// Sums in a digest, and the numbers' mean size.
const SUMS: usize = 8;
const DIGEST: usize = SUMS + 1;
/// How far a sum may be off, in units of the numbers' mean size: some hundred times what rounding does, and less than what a
/// single wrong number among those summed makes of it.
const TOLERANCE: f32 = 3e-5;

/// Layers and inputs made from seeds, the same on every device.
pub struct Samples {
    /// Where they are placed.
    pub device: Device,
}

/// Numbers in [-1, 1) from a seed (Knuth's MMIX generator), so that a failure can be repeated.
pub fn numbers(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        Some((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
    })
}

impl Samples {
    fn place<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// Numbers in [-scale, scale) around `shift`.
    fn values(seed: u64, count: usize, scale: f32, shift: f32) -> Vec<f32> {
        numbers(seed).take(count).map(|x| x * scale + shift).collect()
    }

    /// Of [`numbers`].
    pub fn numbers<const D: usize>(&self, seed: u64, shape: [usize; D]) -> Tensor<D> {
        self.place(Self::values(seed, shape.iter().product(), 1.0, 0.0), shape)
    }

    /// A layer whose outputs are about as large as its inputs.
    pub fn linear(&self, seed: u64, inputs: usize, outputs: usize) -> Linear {
        let scale = (3.0 / inputs as f32).sqrt();
        Linear {
            weight: self.place(Self::values(seed, inputs * outputs, scale, 0.0), [inputs, outputs]),
            bias: self.numbers(seed + 1, [outputs]),
        }
    }

    /// A norm with scales around 1.
    pub fn norm(&self, seed: u64, channels: usize, epsilon: f64) -> Norm {
        let weight = self.place(Self::values(seed, channels, 1.0, 1.0), [channels]);
        Norm { weight, bias: self.numbers(seed + 1, [channels]), epsilon }
    }

    /// A depthwise convolution.
    pub fn depthwise(&self, seed: u64, channels: usize) -> Depthwise3x3 {
        Depthwise3x3 { weight: self.numbers(seed, [9, channels]), bias: self.numbers(seed + 1, [channels]) }
    }

    /// A convolution whose outputs are about as large as its inputs.
    pub fn conv3x3(&self, seed: u64, inputs: usize, outputs: usize) -> Conv3x3 {
        let Linear { weight, bias } = self.linear(seed, 9 * inputs, outputs);
        Conv3x3 { weight, bias }
    }

    /// A first convolution, with the same numbers in both forms.
    pub fn pixel_conv(&self, seed: u64, outputs: usize) -> PixelConv {
        let weight = Self::values(seed, 27 * outputs, 0.3, 0.0);
        let bias = || self.numbers(seed + 1, [outputs]);
        #[cfg(feature = "webgpu")]
        let packed = {
            let nothing = vec![0.0; outputs];
            let rows = weight.chunks_exact(3 * outputs).flat_map(|tap| tap.iter().chain(&nothing)).copied().collect();
            Conv3x3 { weight: self.place(rows, [36, outputs]), bias: bias() }
        };
        PixelConv {
            #[cfg(feature = "cpu")]
            conv: Conv3x3 { weight: self.place(weight, [27, outputs]), bias: bias() },
            #[cfg(feature = "webgpu")]
            packed,
            mean: [120.0, 110.0, 100.0],
            deviation: [60.0, 50.0, 55.0],
        }
    }

    /// An MBConv or PatchMerging of these channels.
    pub fn bottleneck(&self, [inputs, wide, outputs]: [usize; 3], stride: usize, residual: bool) -> Bottleneck {
        let bias = |seed, count| Self::values(seed, count, 1.0, 0.0);
        // The biases of the three layers below, by their seeds.
        let biases = [bias(2, wide), bias(4, wide), bias(6, outputs)].concat();
        let length = biases.len();
        Bottleneck {
            expand: self.linear(1, inputs, wide),
            depthwise: self.depthwise(3, wide),
            project: self.linear(5, wide, outputs),
            stride,
            residual,
            biases: self.place(biases, [length]),
        }
    }

    /// A window with `depth` channels a head.
    pub fn window(&self, side: usize, heads: usize, depth: usize) -> Window {
        let cells = side * side;
        let mut bias = Self::values(1, heads * cells * cells, 1.0, 0.0);
        // Symmetric, as a table of distances is.
        for table in bias.chunks_exact_mut(cells * cells) {
            for (row, column) in (0..cells).flat_map(|row| (0..row).map(move |column| (row, column))) {
                table[row * cells + column] = table[column * cells + row];
            }
        }
        Window { side, bias: self.place(bias, [heads, cells, cells]), pad: self.numbers(2, [3 * heads * depth]) }
    }

    /// Columns of a [`Samples::linear`].
    #[cfg(feature = "cpu")]
    fn columns(&self, of: &Linear, from: usize, to: usize) -> Option<Linear> {
        (to > from).then(|| Linear {
            weight: of.weight.clone().slice_dim(1, from..to),
            bias: of.bias.clone().slice_dim(0, from..to),
        })
    }

    /// A projection to `placed` channels with positions and `plain` without.
    pub fn token_projection(&self, seed: u64, placed: usize, plain: usize) -> TokenProjection {
        let packed = self.linear(seed, 256, placed + plain);
        TokenProjection {
            #[cfg(feature = "cpu")]
            apart: [self.columns(&packed, 0, placed), self.columns(&packed, placed, placed + plain)],
            packed,
            placed,
        }
    }

    /// With `next` columns of placed tokens and as many of others.
    pub fn settle(&self, seed: u64, inputs: usize, next: usize) -> Settle {
        let bias = |seed, count| Self::values(seed, count, 1.0, 0.0);
        let mut vectors = [bias(seed + 1, 256), Self::values(seed + 2, 256, 1.0, 1.0), bias(seed + 3, 256)].concat();
        vectors.extend(bias(seed + 5, 2 * next));
        let length = vectors.len();
        Settle {
            project: self.linear(seed, inputs, 256),
            norm: self.norm(seed + 2, 256, 1e-5),
            next: (next > 0).then(|| self.token_projection(seed + 4, next, next)),
            vectors: self.place(vectors, [length]),
        }
    }

    /// A projection of cells, with queries or without.
    pub fn cell_projection(&self, seed: u64, queries: bool) -> CellProjection {
        let inner = 128;
        let packed = self.linear(seed, 256, if queries { 3 * inner } else { 2 * inner });
        #[cfg(feature = "cpu")]
        let part = |i: usize| self.columns(&packed, i * inner, (i + 1) * inner);
        CellProjection {
            #[cfg(feature = "cpu")]
            keys: part(0).expect("some columns"),
            #[cfg(feature = "cpu")]
            queries: if queries { part(1) } else { None },
            #[cfg(feature = "cpu")]
            values: part(if queries { 2 } else { 1 }).expect("some columns"),
            packed,
            inner,
        }
    }

    /// The networks on the output tokens.
    pub fn heads(&self, seed: u64) -> Heads {
        let networks = 1 + decoder::MASKS;
        let (inner, outer) = (2 * networks * 256, networks * 256);
        let scale = (3.0f32 / 256.0).sqrt();
        let inner_weight = self.place(Self::values(seed, inner * 256, scale, 0.0), [inner, 256]);
        let inner_bias = self.numbers(seed + 1, [inner]);
        let outer_weight = self.place(Self::values(seed + 2, outer * 32, scale, 0.0), [outer, 32]);
        let outer_bias = self.numbers(seed + 3, [networks * 32]);
        #[cfg(feature = "cpu")]
        let rows = |weight: &Tensor<2>, bias: &Tensor<1>, i: usize| {
            let width = bias.dims()[0] * 256 / weight.dims()[0];
            Linear {
                weight: weight.clone().slice_dim(0, i * 256..(i + 1) * 256),
                bias: bias.clone().slice_dim(0, i * width..(i + 1) * width),
            }
        };
        Heads {
            #[cfg(feature = "cpu")]
            networks: (0..networks)
                .map(|i| {
                    let inner = |layer: usize| rows(&inner_weight, &inner_bias, layer * networks + i);
                    [inner(0), inner(1), rows(&outer_weight, &outer_bias, i)]
                })
                .collect(),
            inner: inner_weight,
            inner_bias,
            outer: outer_weight,
            outer_bias,
        }
    }

    /// The two transposed convolutions.
    pub fn upscale(&self, seed: u64) -> Upscale {
        let bias = |seed, count| Self::values(seed, count, 1.0, 0.0);
        let norm = [Self::values(seed + 4, 64, 1.0, 1.0), bias(seed + 5, 64)].concat();
        let vectors = [bias(seed + 1, 256), bias(seed + 3, 128), norm].concat();
        let length = vectors.len();
        Upscale {
            first: self.linear(seed, 256, 256),
            second: self.linear(seed + 2, 64, 128),
            norm: self.norm(seed + 4, 64, 1e-6),
            vectors: self.place(vectors, [length]),
        }
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let length: usize = x.dims().iter().product();
    x.reshape([length])
}

/// An operation on samples.
type Case = (&'static str, fn(&Samples) -> Tensor<1>);

/// Every kernel, with the constants of the network where they are part of its text.
const CASES: [Case; 18] = [
    ("products", |s| flat(linear(s.numbers(1, [1, 66, 160]), &s.linear(2, 160, 640), Activation::Gelu, None))),
    ("narrow products", |s| {
        let residual = s.numbers(4, [1, 66, 160]);
        flat(linear(s.numbers(1, [1, 66, 640]), &s.linear(2, 640, 160), Activation::None, Some(residual)))
    }),
    ("short products", |s| {
        flat(linear(s.numbers(1, [2, 3, 16]), &s.linear(2, 16, 256), Activation::Relu, Some(s.numbers(4, [1, 3, 256]))))
    }),
    ("products of norms", |s| {
        let (norm, layer) = (s.norm(2, 320, 1e-5), s.linear(4, 320, 960));
        flat(norm_linear(s.numbers(1, [1, 40, 320]), &norm, &layer, Activation::None))
    }),
    ("norms", |s| flat(layer_norm(s.numbers(1, [1, 37, 256]), &s.norm(2, 256, 1e-6), Activation::Gelu))),
    ("convolutions of pixels", |s| {
        let rgb: Vec<u8> = (0..3 * 13 * 16).map(|i| (i * 37 % 256) as u8).collect();
        let conv = s.pixel_conv(1, 32);
        let pixels = Pixels::new(&rgb, 13, 16, Band::WHOLE, &s.device, |_| {
            let mut input = vec![0.0; 16 * 16 * 3];
            for (to, from) in input.chunks_exact_mut(16 * 3).zip(rgb.chunks_exact(13 * 3)) {
                for (i, byte) in from.iter().enumerate() {
                    to[i] = (*byte as f32 - conv.mean[i % 3]) / conv.deviation[i % 3];
                }
            }
            input
        });
        flat(embed_pixels(pixels, &conv, Activation::Gelu))
    }),
    ("strided convolutions", |s| flat(conv3x3(s.numbers(1, [18, 10, 32]), &s.conv3x3(2, 32, 64), 2, Activation::None))),
    ("convolutions", |s| flat(conv3x3(s.numbers(1, [7, 6, 256]), &s.conv3x3(2, 256, 256), 1, Activation::None))),
    ("depthwise convolutions", |s| flat(depthwise3x3(s.numbers(1, [9, 7, 128]), &s.depthwise(2, 128)))),
    ("MBConv", |s| flat(bottleneck(s.numbers(8, [11, 9, 64]), &s.bottleneck([64, 256, 64], 1, true)))),
    ("patch merging", |s| flat(bottleneck(s.numbers(8, [15, 10, 64]), &s.bottleneck([64, 128, 128], 2, false)))),
    ("windows of 7", |s| flat(window_attention(s.numbers(3, [8, 9, 3 * 128]), &s.window(7, 4, 32)))),
    ("windows of 14", |s| flat(window_attention(s.numbers(3, [15, 3, 3 * 160]), &s.window(14, 5, 32)))),
    ("tokens", |s| {
        let (queries, tokens) = (s.numbers(1, [2, 7, 256]), s.numbers(2, [2, 7, 256]));
        let qkv = decoder::project_tokens(queries.clone(), &tokens, &s.token_projection(3, 512, 256));
        let (queries, next) = decoder::attend_self(qkv, Some(queries), &tokens, &s.settle(10, 256, 128), 8);
        let (queries, last) = decoder::mlp(queries, &tokens, &s.linear(20, 256, 256), &s.settle(30, 256, 128));
        Tensor::cat(vec![flat(queries), flat(next), flat(last)], 0)
    }),
    ("tokens and cells", |s| {
        let (by, x) = (s.cell_projection(1, true), s.numbers(3, [1, 100, 256]));
        let positions = decoder::project_positions(s.numbers(4, [1, 100, 256]), &by);
        let cells = decoder::project_cells(x.clone(), &by, &positions);
        let (q, queries) = (s.numbers(5, [2, 6, 128]), s.numbers(6, [2, 6, 256]));
        let tokens = decoder::attend_image(q, &cells, queries.clone(), &s.settle(10, 128, 0), 8);
        let cells = decoder::attend_tokens(x, &cells, queries, &s.settle(20, 128, 0), 8);
        Tensor::cat(vec![flat(tokens), flat(cells)], 0)
    }),
    ("a last look", |s| {
        let (by, x) = (s.cell_projection(1, false), s.numbers(3, [2, 70, 256]));
        let positions = decoder::project_positions(s.numbers(4, [1, 70, 256]), &by);
        let cells = decoder::cells_once(x, &by, &positions);
        let (q, queries) = (s.numbers(5, [2, 9, 128]), s.numbers(6, [2, 9, 256]));
        flat(decoder::attend_image(q, &cells, queries, &s.settle(10, 128, 0), 8))
    }),
    ("networks", |s| flat(decoder::heads(s.numbers(1, [2, 7, 256]), &s.heads(2)))),
    ("masks", |s| {
        let (x, heads) = (s.numbers(1, [2, 9, 256]), s.numbers(2, [2, 5, 32]));
        flat(decoder::upscale(x, heads, [3, 3], &s.upscale(3)))
    }),
];

/// Sums of a result: each number times a weight of its own, every eighth together, by their count; then the mean size.
fn digest(values: &[f32]) -> [f32; DIGEST] {
    let mut sums = [0.0f64; DIGEST];
    for (i, (value, weight)) in values.iter().zip(numbers(7)).enumerate() {
        sums[i % SUMS] += *value as f64 * weight as f64;
        sums[SUMS] += value.abs() as f64;
    }
    sums.map(|sum| (sum / values.len() as f64) as f32)
}

/// Whether a digest is of the expected numbers. Written so that neither NaN nor infinity is.
fn agree(digest: &[f32; DIGEST], expected: &[f32; DIGEST]) -> bool {
    digest.iter().zip(expected).all(|(a, b)| (a - b).abs() <= TOLERANCE * expected[SUMS])
}

/// Asks a device for every answer.
///
/// # Errors
/// `device_unavailable` if one is wrong; as the device has them.
pub async fn check(device: &Device) -> Result<()> {
    for ((name, _), (digest, expected)) in CASES.iter().zip(digests(device).await?.iter().zip(&ANSWERS)) {
        if !agree(digest, expected) {
            return Err(Error::DeviceUnavailable(format!(
                "this GPU, or its driver, computes wrong numbers ({name}); update the driver, or use the CPU device"
            )));
        }
    }
    Ok(())
}

async fn digests(device: &Device) -> Result<Vec<[f32; DIGEST]>> {
    let samples = Samples { device: device.clone() };
    let results = CASES.iter().fold(Transaction::default(), |results, (_, run)| results.register(run(&samples)));
    let results = results.execute_async().await.map_err(|e| Error::of_device(&e.to_string()))?;
    results
        .into_iter()
        .map(|data| Ok(digest(&data.try_into_vec::<f32>().map_err(|e| Error::Internal(format!("{e:?}")))?)))
        .collect()
}

/// The digests of the right answers, which a test holds to the CPU's.
#[rustfmt::skip]
const ANSWERS: [[f32; DIGEST]; 18] = [
    [0.00039256256, 0.00045238392, -0.00060524384, 0.00016668593, -2.9593986e-5, 0.0011157508, 0.00036593535, 0.00020581156, 0.33018097],
    [-0.0004753009, -0.0015618888, 0.004026101, -0.0020136593, -0.0018787228, 0.0031061547, 0.00078058714, 0.00025943163, 0.8020108],
    [-0.0032093565, -0.0032597615, -0.0020233034, 0.0009435355, -0.005086592, -0.00025541103, -0.0017890313, -0.00149424, 0.41302773],
    [-0.00048825025, 0.0004584161, -0.0017129107, -0.0015191013, -0.0020213004, -0.0018750342, 0.00016480594, 1.0232482e-5, 1.1296803],
    [0.001022839, 0.00036653562, 0.0013343274, -0.0002755461, -0.00018931823, -0.0019504927, 0.0015033269, -0.0016693511, 0.512181],
    [-0.0018500465, -0.003754921, -0.002220368, 0.0004683666, -0.0019549485, -0.0010939952, 0.00040952628, 0.0038881863, 0.4472514],
    [0.0022609124, -0.0019088592, 0.002729189, -0.004229842, -0.00072165136, -0.0010529695, 0.0019006132, -0.00039332057, 0.612475],
    [-0.0006497863, 0.0020488566, -0.0012910314, -0.00011076628, 0.0006850109, -0.0002560495, 0.00047956748, 0.0029950717, 0.6134002],
    [0.00036188922, 0.0029423134, -0.0011603156, -0.0017320401, -0.0032853992, 0.0019892834, -0.0017540087, 0.0038353577, 0.82120794],
    [-0.0021212276, 0.00039714345, -0.0021976975, 0.00025223708, 0.00035197966, 0.0012756184, -0.002396775, -9.693813e-5, 0.50706595],
    [0.00013215309, 0.0038776104, -0.0029460653, 0.0015841213, 0.0010946076, 0.0039026656, -0.0028685844, 0.0019497044, 0.7819371],
    [-0.00055911334, 0.000976413, 0.00042884875, 0.00024059118, 0.00066045974, -0.00048103667, -2.0445317e-5, 0.00040786897, 0.18091258],
    [0.0005570598, -0.0009464609, -0.000540401, 0.001289187, 0.0004950825, 0.0008239351, 0.00088703644, 0.00016886237, 0.3970613],
    [-0.0018281016, -0.00078385446, 0.0012881551, 8.702909e-5, -0.0018373922, -0.008439818, 0.002806957, -0.0035925927, 1.0827562],
    [0.00041545276, 0.00025368543, 0.0012020961, -0.00029608156, -0.0006571476, -0.0008435989, 0.0013857707, -0.0009325259, 1.0222747],
    [-0.0009639905, -9.264516e-5, -0.0040393476, -0.003504158, -0.00028988274, 0.0010958831, 0.0036442871, -0.0033547215, 0.98380905],
    [-0.012074603, -0.010160857, 0.012327804, 0.0009460456, -0.013527332, 0.010865506, -0.001030513, -0.0038654844, 0.6984461],
    [0.006912993, -0.026312554, 0.012127581, 0.008575992, 0.001921895, -0.010588411, 0.031054772, -0.00287317, 1.7903837],
];

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_the_cpus() {
        let found = futures_lite::future::block_on(digests(&Device::flex())).unwrap();
        let table: String = found.iter().map(|digest| format!("    {digest:?},\n")).collect();
        let right = found.iter().zip(&ANSWERS).all(|(digest, expected)| agree(digest, expected));
        assert!(right, "the table would be\n{table}");
    }

    #[test]
    fn a_wrong_number_or_none_at_all_is_noticed() {
        let values: Vec<f32> = numbers(1).take(4096).collect();
        let right = digest(&values);
        for wrong in [f32::NAN, f32::INFINITY, 3.0] {
            let mut values = values.clone();
            values[1234] = wrong;
            assert!(!agree(&digest(&values), &right), "{wrong}");
        }
    }
}
