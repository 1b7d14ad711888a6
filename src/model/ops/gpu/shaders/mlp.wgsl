// A share of the MLP of eight tokens: HIDDEN of its hidden vectors, and what they add to the result.

const ROWS = 8u;
const THREADS = 256u;
const WIDTH = 64u;
// Hidden vectors of a share.
const HIDDEN = 32u;

var<workgroup> hidden: array<vec4<f32>, ROWS * HIDDEN>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let share = group.x;
  let first_row = group.y * ROWS;
  let row = min(first_row + thread / HIDDEN, sizes.rows - 1u);
  let unit = share * HIDDEN + thread % HIDDEN;
  var sum = wide_bias[unit];
  for (var k = 0u; k < sizes.width; k++) {
    let at = k * 4u * sizes.hidden + unit;
    let w0 = wide_weight[at];
    let w1 = wide_weight[at + sizes.hidden];
    let w2 = wide_weight[at + 2u * sizes.hidden];
    let w3 = wide_weight[at + 3u * sizes.hidden];
    sum = accumulate(queries[row * WIDTH + k], w0, w1, w2, w3, sum);
  }
  hidden[thread] = max(sum, vec4<f32>(0.0));
  workgroupBarrier();
  for (var i = thread; i < ROWS * WIDTH; i += THREADS) {
    let place = i / WIDTH;
    let column = i % WIDTH;
    var part = vec4<f32>(0.0);
    for (var k = 0u; k < sizes.share; k++) {
      let at = (share * HIDDEN + k) * 4u * WIDTH + column;
      let a = hidden[place * HIDDEN + k];
      part = accumulate(a, weight[at], weight[at + WIDTH], weight[at + 2u * WIDTH], weight[at + 3u * WIDTH], part);
    }
    if (first_row + place < sizes.rows) {
      parts[(share * sizes.rows + first_row + place) * WIDTH + column] = part;
    }
  }
}
