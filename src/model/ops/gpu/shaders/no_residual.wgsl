fn residual_at(row: u32, column: u32) -> vec4<f32> {
  return vec4<f32>(0.0);
}
