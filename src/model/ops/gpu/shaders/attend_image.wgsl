// Attention of tokens to KEYS cells of an image: one head of one token to a thread. A few tokens are too few threads for
// a GPU, so the image is dealt out in parts; each gives its mix of values and the logarithm of its weight. BATCH keys are
// weighed together.

// Vectors of a head, and of all.
const DEPTH = 4u;
const MIXED = HEADS * DEPTH;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let part = group.x;
  let prompt = group.z;
  let unit = group.y * 64u + thread;
  let head = unit % HEADS;
  let token = unit / HEADS;
  if (token >= sizes.tokens) {
    return;
  }
  let row = prompt * sizes.tokens + token;
  let cells = prompt * sizes.step + head * DEPTH;
  var query: array<vec4<f32>, DEPTH>;
  var sums: array<vec4<f32>, DEPTH>;
  for (var i = 0u; i < DEPTH; i++) {
    query[i] = queries[row * MIXED + head * DEPTH + i] * SCALE;
  }
  var largest = -1e30;
  var sum = 0.0;
  let end = min((part + 1u) * KEYS, sizes.cells);
  for (var first = part * KEYS; first < end; first += BATCH) {
    var scores: array<f32, BATCH>;
    var highest = largest;
    for (var j = 0u; j < BATCH; j++) {
      let cell = min(first + j, end - 1u);
      var product = vec4<f32>(0.0);
      for (var i = 0u; i < DEPTH; i++) {
        product = fma(query[i], projected[cells + cell * sizes.stride + i], product);
      }
      // Cells beyond the last weigh nothing.
      scores[j] = select(-1e30, dot(product, vec4<f32>(1.0)), first + j < end);
      highest = max(highest, scores[j]);
    }
    let shrink = exp(largest - highest);
    largest = highest;
    sum *= shrink;
    for (var i = 0u; i < DEPTH; i++) {
      sums[i] *= shrink;
    }
    for (var j = 0u; j < BATCH; j++) {
      let cell = min(first + j, end - 1u);
      let weight = exp(scores[j] - highest);
      sum += weight;
      // What weighs nothing is not read; and no value is read before its weight is known, which saves registers.
      if (weight > 0.0) {
        for (var i = 0u; i < DEPTH; i++) {
          sums[i] = fma(vec4<f32>(weight), projected[cells + cell * sizes.stride + sizes.values + i], sums[i]);
        }
      }
    }
  }
  let rows = sizes.prompts * sizes.tokens;
  for (var i = 0u; i < DEPTH; i++) {
    parts[(part * rows + row) * MIXED + head * DEPTH + i] = sums[i] / sum;
  }
  weights[(part * rows + row) * HEADS + head] = largest + log(sum);
}
