// What the tokens took up lies in shares (mlp.wgsl), to be added.
fn take_up(first_row: u32, row: u32, column: u32, thread: u32) -> vec4<f32> {
  var sum = vectors[column];
  for (var share = 0u; share < sizes.shares; share++) {
    sum += parts[(share * sizes.rows + row) * WIDTH + column];
  }
  return sum;
}
