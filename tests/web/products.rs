use burn::tensor::{Device, Tensor, TensorData};
use tinysam::model::ops::{Activation, Linear, Window, linear, window_attention};
use tinysam::web::relaxed;
use wasm_bindgen_test::wasm_bindgen_test;

fn numbers<const D: usize>(seed: u32, shape: [usize; D]) -> Tensor<D> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Rows and columns that no tile divides, and more than one block of inputs; few rows and many.
fn products() -> Vec<Vec<f32>> {
    let layer = Linear { weight: numbers(1, [400, 83]), bias: numbers(2, [83]) };
    let rows = [1, 7, 16, 77];
    let product = |rows| linear(numbers(3, [1, rows, 400]), &layer, Activation::None, None);
    rows.map(|rows| product(rows).into_data().try_to_vec().unwrap()).to_vec()
}

/// GELU of rows that are not whole vectors, near zero and far from it; softmax of 49 scores, which are not either.
fn functions() -> Vec<f32> {
    let layer = Linear { weight: numbers(1, [8, 83]) * 9.0, bias: numbers(2, [83]) };
    let gelu = linear(numbers(3, [1, 5, 8]), &layer, Activation::Gelu, None);
    let window = Window { side: 7, bias: numbers(4, [2, 49, 49]) * 40.0, pad: numbers(5, [48]) };
    let softmax = window_attention(numbers(6, [7, 9, 48]) * 3.0, &window);
    [gelu, softmax].map(|x| x.into_data().try_to_vec().unwrap()).concat()
}

/// A row does not depend on those that are computed with it.
fn assert_rows_are_alike(products: &[Vec<f32>]) {
    let (all, others) = products.split_last().unwrap();
    for some in others {
        assert!(some.iter().zip(all).all(|(a, b)| a.to_bits() == b.to_bits()), "{} rows", some.len() / 83);
    }
}

#[wasm_bindgen_test]
async fn relaxed_simd_computes_as_simd_does() {
    let plain = products();
    assert_rows_are_alike(&plain);
    let plain_functions = functions();
    assert!(relaxed::link().await, "a browser with relaxed SIMD takes the module");
    let fused = products();
    assert_rows_are_alike(&fused);
    for (plain, fused) in plain.concat().iter().zip(fused.concat()) {
        assert!((plain - fused).abs() < 1e-4, "{fused} instead of {plain}");
    }
    let fused_functions = functions();
    assert_ne!(plain_functions, fused_functions, "these were fused, too");
    for (plain, fused) in plain_functions.iter().zip(fused_functions) {
        assert!((plain - fused).abs() < 1e-5 * (1.0 + plain.abs()), "{fused} instead of {plain}");
    }
}
