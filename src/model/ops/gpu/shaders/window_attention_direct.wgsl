// Attention within a window without workgroup memory: a thread takes one query of one head, reads the keys and values of
// its window one after the other, and runs the softmax over them (as window_attention.wgsl does). For software adapters,
// which pay for barriers most. Padded cells take part, but all hold the same: their key is met once, and their value is
// added once, at the weight of all of them.

const CELLS = SIDE * SIDE;
// Below every score; not −∞, whose arithmetic drivers may assume away.
const LOWEST = -1e30;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let top = group.z * SIDE;
  let left = group.y * SIDE;
  // Of the window, what is no padding.
  let high = min(SIDE, sizes.height - top);
  let wide = min(SIDE, sizes.width - left);
  // Neighbouring threads take neighbouring queries of one head.
  let unit = group.x * 64u + thread;
  let head = unit / (high * wide);
  if (head >= HEADS) {
    return;
  }
  let y = unit % (high * wide) / wide;
  let x = unit % wide;
  // The table is symmetric: of a key, neighbouring queries lie side by side.
  let biases = head * CELLS * CELLS + y * SIDE + x;
  // A cell's packed queries, keys and values, and this head's part of them.
  let packed = HEADS * 3u * DEPTH;
  let part = head * 3u * DEPTH;
  let here = (top + y) * sizes.width + left + x;
  var query: array<vec4<f32>, DEPTH>;
  var sums: array<vec4<f32>, DEPTH>;
  var padded = vec4<f32>(0.0);
  for (var i = 0u; i < DEPTH; i++) {
    query[i] = qkv[here * packed + part + i] * SCALE;
    padded = fma(query[i], pad[part + DEPTH + i], padded);
  }
  let padded_score = dot(padded, vec4<f32>(1.0));
  var largest = LOWEST;
  var total = 0.0;
  // Of `total`, the padded cells' share.
  var padded_total = 0.0;
  for (var row = 0u; row < SIDE; row++) {
    for (var column = 0u; column < SIDE; column++) {
      let inside = row < high && column < wide;
      let key = ((top + row) * sizes.width + left + column) * packed + part + DEPTH;
      var score = padded_score;
      if (inside) {
        var product = vec4<f32>(0.0);
        for (var i = 0u; i < DEPTH; i++) {
          product = fma(query[i], qkv[key + i], product);
        }
        score = dot(product, vec4<f32>(1.0));
      }
      score += bias[biases + (row * SIDE + column) * CELLS];
      if (score > largest) {
        let shrink = exp(largest - score);
        total *= shrink;
        padded_total *= shrink;
        for (var i = 0u; i < DEPTH; i++) {
          sums[i] *= shrink;
        }
        largest = score;
      }
      let weight = exp(score - largest);
      total += weight;
      if (inside) {
        for (var i = 0u; i < DEPTH; i++) {
          sums[i] = fma(vec4<f32>(weight), qkv[key + DEPTH + i], sums[i]);
        }
      } else {
        padded_total += weight;
      }
    }
  }
  for (var i = 0u; i < DEPTH; i++) {
    let sum = fma(vec4<f32>(padded_total), pad[part + 2u * DEPTH + i], sums[i]);
    out[(here * HEADS + head) * DEPTH + i] = sum / total;
  }
}
