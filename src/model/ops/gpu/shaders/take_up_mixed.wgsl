// What the tokens took up is a mix of values, projected back to a token's channels.

// The mixes of the workgroup's tokens, MIXED vectors each.
var<workgroup> mixed: array<vec4<f32>, ROWS * MIXED>;

fn take_up(first_row: u32, row: u32, column: u32, thread: u32) -> vec4<f32> {
  mix_values(first_row, thread);
  workgroupBarrier();
  var sum = vectors[column];
  for (var k = 0u; k < sizes.mixed; k++) {
    let at = k * 4u * WIDTH + column;
    let a = mixed[thread / WIDTH * MIXED + k];
    sum = accumulate(a, weight[at], weight[at + WIDTH], weight[at + 2u * WIDTH], weight[at + 3u * WIDTH], sum);
  }
  return sum;
}
