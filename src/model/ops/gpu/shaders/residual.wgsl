// Added to the product. Its rows repeat where a batch shares them, and it may have fewer columns than the product.
fn residual_at(row: u32, column: u32) -> vec4<f32> {
  if (column >= sizes.residual_columns) {
    return vec4<f32>(0.0);
  }
  return residual[row % sizes.residual_rows * sizes.residual_columns + column];
}
