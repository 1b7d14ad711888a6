// LayerNorm(residual + what the tokens took up), and the projection that the next step needs. `take_up` brings what they
// took up: one vector of one token to a thread. `vectors` holds the bias of that, the norm's weight and bias, and the
// bias of the projection.

var<workgroup> shares: array<f32, THREADS>;

// The sum over a token, whose threads are neighbours.
fn total(value: f32, thread: u32) -> f32 {
  shares[thread] = value;
  workgroupBarrier();
  for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
    if (thread % WIDTH < half) {
      shares[thread] += shares[thread + half];
    }
    workgroupBarrier();
  }
  let sum = shares[thread / WIDTH * WIDTH];
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = group.x * ROWS;
  // Threads beyond the last token work on it, and keep it to themselves.
  let row = min(first_row + thread / WIDTH, sizes.rows - 1u);
  let column = thread % WIDTH;
  let value = take_up(first_row, row, column, thread) + residual_at(row, column);
  let channels = f32(WIDTH * 4u);
  let mean = total(dot(value, vec4<f32>(1.0)), thread) / channels;
  let difference = value - mean;
  let variance = total(dot(difference, difference), thread) / channels;
  let settled = fma(difference / sqrt(variance + EPSILON), vectors[WIDTH + column], vectors[2u * WIDTH + column]);
  rows[thread] = settled;
  if (first_row + thread / WIDTH < sizes.rows) {
    out[row * WIDTH + column] = settled;
  }
  workgroupBarrier();
  for (var first_column = 0u; first_column < sizes.next_outputs; first_column += WIDTH) {
    project(first_row, first_column, thread);
  }
}
