// The left factor of a product is the depthwise 3×3 convolution of a feature map, with GELU: computed as it is loaded, it
// never lies in memory.

fn prepare(first: u32, thread: u32) {}

fn load(place: u32, row: u32, k: u32) -> vec4<f32> {
  let cell = min(row, sizes.rows - 1u);
  // Counted from the padding, as in load_patches.wgsl.
  let top = cell / sizes.out_width * STRIDE;
  let left = cell % sizes.out_width * STRIDE;
  var sum = tap_bias[k];
  for (var tap = 0u; tap < 9u; tap++) {
    let y = top + tap / 3u;
    let column = left + tap % 3u;
    if (y > 0u && y <= sizes.height && column > 0u && column <= sizes.width) {
      sum = fma(x[((y - 1u) * sizes.width + column - 1u) * sizes.inputs + k], taps[tap * sizes.inputs + k], sum);
    }
  }
  return gelu(sum);
}
