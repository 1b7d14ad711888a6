// activate(LayerNorm(x)), LANES threads to a row; with one, nothing is waited for.

const ROWS = 64u / LANES;

var<workgroup> shares: array<f32, 64>;

// The sum over the threads of a row.
fn total(value: f32, thread: u32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  shares[thread] = value;
  workgroupBarrier();
  let first = thread / LANES * LANES;
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) {
    sum += shares[first + lane];
  }
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = (group.y * sizes.groups + group.x) * ROWS + thread / LANES;
  let lane = thread % LANES;
  let at = min(row, sizes.rows - 1u) * sizes.width;
  let channels = f32(sizes.width * 4u);
  var sum = vec4<f32>(0.0);
  for (var i = lane; i < sizes.width; i += LANES) {
    sum += x[at + i];
  }
  let mean = total(dot(sum, vec4<f32>(1.0)), thread) / channels;
  // In a second pass: `mean(x²) − mean²` cancels.
  var deviation = vec4<f32>(0.0);
  for (var i = lane; i < sizes.width; i += LANES) {
    let difference = x[at + i] - mean;
    deviation = fma(difference, difference, deviation);
  }
  let scale = 1.0 / sqrt(total(dot(deviation, vec4<f32>(1.0)), thread) / channels + EPSILON);
  if (row < sizes.rows) {
    for (var i = lane; i < sizes.width; i += LANES) {
      out[at + i] = activate(fma((x[at + i] - mean) * scale, gamma[i], beta[i]));
    }
  }
}
