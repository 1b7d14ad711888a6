//! Which way to cut products is the fastest on this GPU: measured, by the clock on the wall.
//!
//! A page's clock is coarse and a GPU's own is refused or blurred, so each way runs some twenty products before it is read.

use burn::tensor::{Device, Tensor};

use super::super::{Activation, Linear};
use super::{linear, tiles};
use crate::{Error, Result};

/// The products of the encoder's third stage, where most of its time goes: rows, inputs, outputs.
const PRODUCTS: [[usize; 3]; 2] = [[4096, 160, 640], [4096, 640, 160]];
/// Milliseconds that a way may take; as many runs as are worth reading.
const BUDGET: f64 = 30.0;
const RUNS: usize = 10;

/// Measures every way that cuts, leaves the fastest in use, and returns its name. `now` tells milliseconds.
///
/// # Errors
/// As the device has them.
pub async fn fastest(device: &Device, now: impl Fn() -> f64) -> Result<&'static str> {
    let given = PRODUCTS.map(|[rows, inputs, outputs]| {
        let layer = Linear { weight: Tensor::zeros([inputs, outputs], device), bias: Tensor::zeros([outputs], device) };
        (Tensor::<3>::zeros([1, rows, inputs], device), layer)
    });
    let run = async |times: usize| -> Result<f64> {
        let start = now();
        let mut last = None;
        for (x, layer) in std::iter::repeat_n(&given, times).flatten() {
            last = Some(linear(x.clone(), layer, Activation::Gelu, None));
        }
        if let Some(last) = last {
            // One number cannot be read before all have been computed.
            let first = last.slice([0..1, 0..1, 0..1]).into_data_async().await;
            first.map_err(|e| Error::of_device(&e.to_string()))?;
        }
        Ok(now() - start)
    };
    let before = tiles::chosen().name;
    let mut best: Option<(f64, &'static str)> = None;
    for way in tiles::ALL.iter().filter(|way| way.large.is_some()) {
        tiles::choose(way.name);
        // The first run compiles.
        let measured = async {
            run(1).await?;
            let once = run(1).await?;
            let times = ((BUDGET / once.max(0.1)) as usize).clamp(1, RUNS);
            Ok(run(times).await? / times as f64)
        };
        match measured.await {
            Ok(time) if best.is_none_or(|(least, _)| time < least) => best = Some((time, way.name)),
            Ok(_) => {}
            Err(error) => {
                tiles::choose(before);
                return Err(error);
            }
        }
    }
    let name = best.map_or(before, |(_, name)| name);
    tiles::choose(name);
    Ok(name)
}
