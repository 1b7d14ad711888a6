// The left factor of a product is a feature map, seen through 3×3 windows with padding 1: a row for each output cell, its
// columns ordered by kernel row, kernel column, channel.

fn prepare(first: u32, thread: u32) {}

fn load(place: u32, row: u32, k: u32) -> vec4<f32> {
  let cell = min(row, sizes.rows - 1u);
  let tap = k / CHANNELS;
  // Counted from the padding: 0 is the padded row or column before the map.
  let y = cell / sizes.out_width * STRIDE + tap / 3u;
  let column = cell % sizes.out_width * STRIDE + tap % 3u;
  if (y == 0u || y > sizes.height || column == 0u || column > sizes.width) {
    return vec4<f32>(0.0);
  }
  return x[((y - 1u) * sizes.width + column - 1u) * CHANNELS + k % CHANNELS];
}
