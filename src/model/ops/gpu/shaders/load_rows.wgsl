// The left factor of a product is a list of rows.

fn prepare(first: u32, thread: u32) {}

fn load(place: u32, row: u32, k: u32) -> vec4<f32> {
  return x[min(row, sizes.rows - 1u) * sizes.inputs + k];
}
