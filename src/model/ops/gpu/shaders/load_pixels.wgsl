// The left factor of a product is a photo, seen through 3×3 windows with padding 1: a pixel is four bytes, red first, whose
// last is 255 where there is a photo and 0 where there is only padding. It is normalised here, and padding is zero after it.

fn prepare(first: u32, thread: u32) {}

fn load(place: u32, row: u32, k: u32) -> vec4<f32> {
  let cell = min(row, sizes.rows - 1u);
  // Counted from the padding: 0 is the padded row or column before the photo.
  let y = cell / sizes.out_width * STRIDE + k / 3u;
  let column = cell % sizes.out_width * STRIDE + k % 3u;
  if (y == 0u || y > sizes.height || column == 0u || column > sizes.width) {
    return vec4<f32>(0.0);
  }
  let pixel = x[(y - 1u) * sizes.width + column - 1u];
  if ((pixel >> 24u) == 0u) {
    return vec4<f32>(0.0);
  }
  let bytes = vec3<f32>(f32(pixel & 255u), f32((pixel >> 8u) & 255u), f32((pixel >> 16u) & 255u));
  let mean = vec3<f32>(MEAN_R, MEAN_G, MEAN_B);
  let deviation = vec3<f32>(DEVIATION_R, DEVIATION_G, DEVIATION_B);
  return vec4<f32>((bytes - mean) / deviation, 0.0);
}
