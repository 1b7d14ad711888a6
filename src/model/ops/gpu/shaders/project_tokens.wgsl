// The projection of the tokens in `rows`; the first `placed` columns see them with `tokens` added, which tell where each
// stands.
fn project(first_row: u32, first_column: u32, thread: u32) {
  let row = first_row + thread / WIDTH;
  let column = first_column + thread % WIDTH;
  if (row >= sizes.rows || column >= sizes.next_outputs) {
    return;
  }
  let place = select(0.0, 1.0, column < sizes.placed);
  var sum = vectors[NEXT_BIAS + column];
  for (var k = 0u; k < sizes.width; k++) {
    let a = fma(tokens[row * WIDTH + k], vec4<f32>(place), rows[thread / WIDTH * WIDTH + k]);
    let at = k * 4u * sizes.next_outputs + column;
    let w0 = next_weight[at];
    let w1 = next_weight[at + sizes.next_outputs];
    let w2 = next_weight[at + 2u * sizes.next_outputs];
    let w3 = next_weight[at + 3u * sizes.next_outputs];
    sum = accumulate(a, w0, w1, w2, w3, sum);
  }
  next[row * sizes.next_outputs + column] = sum;
}
