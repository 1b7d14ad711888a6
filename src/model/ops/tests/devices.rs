//! Every operation on every device against the portable one: the CPU, and a GPU with each way to cut products, where the
//! GPU's kernels are in the build. Its Vulkan driver may be a program.

use burn::tensor::{Device, Tensor, TensorData};

use super::super::decoder::{self, Projected};
use super::super::known::{self, Samples};
use super::super::*;

/// What an operation runs on: a device, and on a GPU a way to cut products.
struct Target {
    name: &'static str,
    samples: Samples,
}

impl std::ops::Deref for Target {
    type Target = Samples;
    fn deref(&self) -> &Samples {
        &self.samples
    }
}

impl Target {
    fn new(name: &'static str, device: Device) -> Self {
        Target { name, samples: Samples { device } }
    }
}

/// Runs `test` on every target in turn.
fn everywhere(test: impl Fn(&Target)) {
    test(&Target::new("cpu", Device::flex()));
    #[cfg(feature = "webgpu")]
    {
        use std::sync::{Mutex, OnceLock};
        static GPU: OnceLock<Device> = OnceLock::new();
        // How products are cut is the process's choice, so tests take turns.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let device = GPU.get_or_init(|| Device::wgpu_options().init().expect("a Vulkan driver, if only a program"));
        for tiles in gpu::tiles::ALL {
            assert!(gpu::tiles::choose(tiles.name));
            test(&Target::new(tiles.name, device.clone()));
        }
    }
}

impl Target {
    /// Runs an operation here and its meaning on the reference device, and compares. A GPU runs it again: threads that
    /// race would not give the same bits twice.
    #[track_caller]
    fn judge<const D: usize>(
        &self,
        what: &str,
        run: impl Fn(&Target) -> Tensor<D>,
        meaning: impl Fn(&Target) -> Tensor<D>,
    ) {
        let reference = Target::new("reference", Device::flex());
        let expected = meaning(&reference);
        let actual = run(self);
        assert_eq!(actual.dims(), expected.dims(), "{what} on {}", self.name);
        let (actual, expected) = (super::values(actual), super::values(expected));
        let scale = expected.iter().fold(1.0f32, |a, b| a.max(b.abs()));
        for (i, (a, b)) in actual.iter().zip(&expected).enumerate() {
            // Written so that NaN fails.
            let near = (a - b).abs() <= 2e-5 * scale;
            assert!(near, "{what} on {}: element {i} is {a} instead of {b}", self.name);
        }
        if self.name != "cpu" {
            for _ in 0..2 {
                let again = super::values(run(self));
                assert!(actual.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "{what} changes its mind");
            }
        }
    }
}

#[test]
fn products_of_every_shape() {
    everywhere(|target| {
        // Rows and columns that no tile divides, that each divides, and that are fewer than one.
        let shapes = [(1, 1, 4, 4), (2, 70, 36, 100), (3, 7, 256, 2048), (1, 97, 64, 160), (1, 130, 160, 480)];
        for (b, rows, inputs, outputs) in shapes.into_iter().chain([(1, 64, 128, 128), (2, 48, 320, 64)]) {
            for (activation, residual) in
                [(Activation::None, None), (Activation::Gelu, Some(1)), (Activation::Relu, Some(b))]
            {
                let given = |t: &Target| {
                    let residual = residual.map(|b| t.numbers(4, [b, rows, outputs]));
                    (t.numbers(1, [b, rows, inputs]), t.linear(2, inputs, outputs), residual)
                };
                target.judge(
                    &format!("{b}×{rows}×{inputs}×{outputs}"),
                    |t| {
                        let (x, layer, residual) = given(t);
                        linear(x, &layer, activation, residual)
                    },
                    |t| {
                        let (x, layer, residual) = given(t);
                        portable::linear(x, &layer, activation, residual)
                    },
                );
            }
        }
    });
}

#[test]
fn norms_alone_and_before_products() {
    everywhere(|target| {
        for (rows, channels) in [(1, 4), (3, 16), (300, 160), (5, 256), (33, 64), (70, 320)] {
            // Far from zero, where `mean(x²) − mean²` would cancel.
            let given = |t: &Target| (t.numbers(3, [2, rows, channels]) * 3.0 + 30.0, t.norm(1, channels, 1e-5));
            for activation in [Activation::None, Activation::Gelu] {
                target.judge(
                    &format!("norm of {rows}×{channels}"),
                    |t| layer_norm(given(t).0, &given(t).1, activation),
                    |t| portable::layer_norm(given(t).0, &given(t).1, activation),
                );
            }
            let layer = |t: &Target| t.linear(7, channels, 96);
            target.judge(
                &format!("product of a norm of {rows}×{channels}"),
                |t| norm_linear(given(t).0, &given(t).1, &layer(t), Activation::Gelu),
                |t| portable::norm_linear(given(t).0, &given(t).1, &layer(t), Activation::Gelu),
            );
            let narrow = |t: &Target| t.linear(9, 96, channels);
            target.judge(
                &format!("network of {rows}×{channels}"),
                |t| feed_forward(given(t).0, &given(t).1, &layer(t), &narrow(t)),
                |t| portable::feed_forward(given(t).0, &given(t).1, &layer(t), &narrow(t)),
            );
        }
    });
}

#[test]
fn convolutions_at_both_strides() {
    everywhere(|target| {
        for (h, w, inputs, outputs) in [(1, 1, 4, 8), (5, 8, 16, 32), (12, 7, 32, 64), (9, 17, 64, 64)] {
            for stride in [1, 2] {
                let given = |t: &Target| (t.numbers(3, [h, w, inputs]), t.conv3x3(1, inputs, outputs));
                target.judge(
                    &format!("convolution of {h}×{w}×{inputs} at {stride}"),
                    |t| conv3x3(given(t).0, &given(t).1, stride, Activation::Gelu),
                    |t| portable::conv3x3(given(t).0, &given(t).1, stride, Activation::Gelu),
                );
            }
            let given = |t: &Target| (t.numbers(3, [h, w, inputs]), t.depthwise(1, inputs));
            target.judge(
                &format!("depthwise convolution of {h}×{w}×{inputs}"),
                |t| depthwise3x3(given(t).0, &given(t).1),
                |t| portable::depthwise3x3(given(t).0, &given(t).1),
            );
        }
    });
}

#[test]
fn the_first_convolution_normalises_and_pads() {
    let (side, width, height, outputs) = (12, 9, 12, 32);
    let rgb: Vec<u8> = (0..3 * width * height).map(|i| (i * 37 % 256) as u8).collect();
    let normalised = |conv: &PixelConv| {
        let mut input = vec![0.0; side * side * 3];
        for (i, byte) in rgb.iter().enumerate() {
            let (row, column, channel) = (i / (3 * width), i / 3 % width, i % 3);
            input[(row * side + column) * 3 + channel] = (*byte as f32 - conv.mean[channel]) / conv.deviation[channel];
        }
        input
    };
    everywhere(|target| {
        let conv = |t: &Target| t.pixel_conv(1, outputs);
        target.judge(
            "the first convolution",
            |t| {
                let pixels = Pixels::new(&rgb, width, side, Band::WHOLE, &t.device, |_| normalised(&conv(t)));
                embed_pixels(pixels, &conv(t), Activation::Gelu)
            },
            |t| {
                let input = Tensor::from_data(TensorData::new(normalised(&conv(t)), [side, side, 3]), &t.device);
                portable::conv3x3(input, &conv(t).conv, 2, Activation::Gelu)
            },
        );
    });
}

#[test]
fn bottlenecks_fused_and_not() {
    everywhere(|target| {
        let blocks =
            [([64, 256, 64], 1, true), ([64, 128, 128], 2, false), ([32, 96, 160], 1, false), ([8, 24, 8], 1, true)];
        for (h, w) in [(1, 1), (9, 13), (16, 8)] {
            for (channels, stride, residual) in blocks {
                let x = |t: &Target| t.numbers(7, [h, w, channels[0]]);
                target.judge(
                    &format!("bottleneck of {h}×{w}×{channels:?}"),
                    |t| bottleneck(x(t), &t.bottleneck(channels, stride, residual)),
                    |t| portable::bottleneck(x(t), &t.bottleneck(channels, stride, residual)),
                );
            }
        }
    });
}

#[test]
fn windows_with_and_without_padding() {
    everywhere(|target| {
        for (h, w, side) in [(7, 7, 7), (8, 16, 7), (4, 4, 14), (14, 28, 14), (13, 6, 3)] {
            let given = |t: &Target| (t.numbers(3, [h, w, 3 * 64]) * 2.0, t.window(side, 2, 32));
            target.judge(
                &format!("windows of {side} in {h}×{w}"),
                |t| window_attention(given(t).0, &given(t).1),
                |t| portable::window_attention(given(t).0, &given(t).1),
            );
        }
    });
}

#[test]
fn tokens_are_projected_with_and_without_their_places() {
    everywhere(|target| {
        for (b, t) in [(1, 7), (3, 5)] {
            for (placed, plain) in [(0, 768), (512, 256), (128, 0), (128, 128)] {
                let given = |at: &Target| {
                    (at.numbers(1, [b, t, 256]), at.numbers(2, [b, t, 256]), at.token_projection(3, placed, plain))
                };
                target.judge(
                    &format!("{placed} and {plain} columns of {b}×{t} tokens"),
                    |at| decoder::project_tokens(given(at).0, &given(at).1, &given(at).2),
                    |at| portable::project_tokens(given(at).0, &given(at).1, &given(at).2),
                );
            }
        }
    });
}

#[test]
fn tokens_attend_to_each_other_and_think() {
    everywhere(|target| {
        for (b, t) in [(1, 6), (3, 7), (1, 45)] {
            let tokens = |at: &Target| at.numbers(2, [b, t, 256]);
            let queries = |at: &Target| at.numbers(3, [b, t, 256]);
            let settle = |at: &Target, inputs| at.settle(4, inputs, 128);
            let next = |at: &Target, inputs, queries| {
                let settle = settle(at, inputs);
                portable::project_tokens(queries, &tokens(at), settle.next.as_ref().unwrap())
            };
            for residual in [false, true] {
                let qkv = |at: &Target| at.numbers(1, [b, t, 768]) * 2.0;
                let held = |at: &Target| residual.then(|| queries(at));
                let meaning = |at: &Target| portable::attend_self(qkv(at), held(at), &settle(at, 256), 8);
                let run = |at: &Target| decoder::attend_self(qkv(at), held(at), &tokens(at), &settle(at, 256), 8);
                target.judge(&format!("{b}×{t} tokens among themselves"), |at| run(at).0, meaning);
                let follows = |at: &Target| next(at, 256, meaning(at));
                target.judge(&format!("what follows of {b}×{t}"), |at| run(at).1, follows);
            }
            let wide = |at: &Target| at.linear(6, 256, 512);
            let meaning = |at: &Target| portable::mlp(queries(at), &wide(at), &settle(at, 512));
            let run = |at: &Target| decoder::mlp(queries(at), &tokens(at), &wide(at), &settle(at, 512));
            target.judge(&format!("the MLP of {b}×{t}"), |at| run(at).0, meaning);
            let follows = |at: &Target| next(at, 512, meaning(at));
            target.judge(&format!("what follows the MLP of {b}×{t}"), |at| run(at).1, follows);
        }
    });
}

#[test]
fn tokens_and_cells_attend_to_each_other() {
    everywhere(|target| {
        // Few tokens and many, cells that no part divides, images of their own and shared.
        for (b, t, cells, shared) in [(1, 7, 64, true), (3, 5, 100, true), (2, 6, 130, false), (1, 40, 33, true)] {
            let images = if shared { 1 } else { b };
            let x = |at: &Target| at.numbers(1, [images, cells, 256]);
            let encoding = |at: &Target| at.numbers(2, [1, cells, 256]);
            let queries = |at: &Target| at.numbers(3, [b, t, 256]);
            let q = |at: &Target| at.numbers(4, [b, t, 128]) * 2.0;
            let settle = |at: &Target| at.settle(5, 128, 0);
            for back in [false, true] {
                let by = |at: &Target| at.cell_projection(6, back);
                let positions = |at: &Target| decoder::project_positions(encoding(at), &by(at));
                let known = |at: &Target| decoder::project_cells(x(at), &by(at), &positions(at));
                let once = |at: &Target| decoder::cells_once(x(at), &by(at), &positions(at));
                for (name, cells_of) in [("known", &known as &dyn Fn(&Target) -> Projected), ("once", &once)] {
                    let what = format!("{b}×{t} tokens and {cells} {name} cells");
                    target.judge(
                        &what,
                        |at| decoder::attend_image(q(at), &cells_of(at), queries(at), &settle(at), 8),
                        |at| {
                            let cells = portable::project_cells(x(at), encoding(at), &by(at));
                            portable::attend_image(q(at), cells, queries(at), &settle(at), 8)
                        },
                    );
                    if back {
                        let keys_values = |at: &Target| at.numbers(9, [b, t, 256]) * 2.0;
                        target.judge(
                            &format!("{what}, which look back"),
                            |at| decoder::attend_tokens(x(at), &cells_of(at), keys_values(at), &settle(at), 8),
                            |at| {
                                let cells = portable::project_cells(x(at), encoding(at), &by(at));
                                portable::attend_tokens(x(at), cells, keys_values(at), &settle(at), 8)
                            },
                        );
                    }
                }
            }
        }
    });
}

#[test]
fn masks_and_their_scores() {
    everywhere(|target| {
        for (b, grid) in [(1, 4), (3, 5)] {
            let heads = |at: &Target| at.heads(11);
            let queries = |at: &Target| at.numbers(1, [b, 7, 256]);
            target.judge(
                "what the networks say",
                |at| decoder::heads(queries(at), &heads(at)),
                |at| portable::heads(queries(at), &heads(at)),
            );
            let upscale = |at: &Target| at.upscale(2);
            let given = |at: &Target| (at.numbers(8, [b, grid * grid, 256]), at.numbers(9, [b, 5, 32]));
            for seen in [[grid, grid], [grid - 1, grid], [grid, grid - 2]] {
                target.judge(
                    &format!("masks of {seen:?} of {grid}×{grid} cells"),
                    |at| decoder::upscale(given(at).0, given(at).1, seen, &upscale(at)),
                    |at| portable::upscale(given(at).0, given(at).1, seen, &upscale(at)),
                );
            }
        }
    });
}

#[test]
fn a_gpu_gives_the_known_answers() {
    everywhere(|target| {
        let checked = futures_lite::future::block_on(known::check(&target.device));
        assert_eq!(checked, Ok(()), "{}", target.name);
    });
}
