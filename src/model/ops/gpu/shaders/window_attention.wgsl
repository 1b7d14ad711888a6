// Attention within a window: QUERIES queries of one head to a workgroup, SPLIT threads to a query, a row of the window's
// keys and values at a time in workgroup memory. The softmax runs (Milakov & Gimelshein, arXiv 1805.02867): the largest
// score so far is kept with the sums under it, which shrink once a row. A thread scores its share of the keys of a row and
// then sums its share of the channels of all values: query and sums of a whole head are more registers than some adapters
// have.

const CELLS = SIDE * SIDE;
const THREADS = SPLIT * QUERIES;
// Vectors of a head that a thread sums.
const SHARE = DEPTH / SPLIT;
// Below every score; not −∞, whose arithmetic drivers may assume away.
const LOWEST = -1e30;

var<workgroup> keys: array<vec4<f32>, SIDE * DEPTH>;
var<workgroup> values: array<vec4<f32>, SIDE * DEPTH>;
var<workgroup> scores: array<f32, SIDE * QUERIES>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = group.x % HEADS;
  let place = thread % QUERIES;
  let share = thread / QUERIES;
  let cell = group.x / HEADS * QUERIES + place;
  let top = group.z * SIDE;
  let left = group.y * SIDE;
  // A cell's packed queries, keys and values, and this head's part of them.
  let packed = HEADS * 3u * DEPTH;
  let part = head * 3u * DEPTH;
  let query_cell = min(cell, CELLS - 1u);
  let y = top + query_cell / SIDE;
  let x = left + query_cell % SIDE;
  let query = (min(y, sizes.height - 1u) * sizes.width + min(x, sizes.width - 1u)) * packed + part;

  var sums: array<vec4<f32>, SHARE>;
  var largest = LOWEST;
  var total = 0.0;
  for (var row = 0u; row < sizes.side; row++) {
    workgroupBarrier();
    for (var i = thread; i < SIDE * DEPTH; i += THREADS) {
      let key_x = left + i / DEPTH;
      let at = part + DEPTH + i % DEPTH;
      // Padded cells take part: what they hold is the same for all of them.
      if (top + row < sizes.height && key_x < sizes.width) {
        let from_cell = ((top + row) * sizes.width + key_x) * packed;
        keys[i] = qkv[from_cell + at];
        values[i] = qkv[from_cell + at + DEPTH];
      } else {
        keys[i] = pad[at];
        values[i] = pad[at + DEPTH];
      }
    }
    workgroupBarrier();
    // The table is symmetric: of a key, neighbouring queries lie side by side.
    score_row(query, (head * CELLS + row * SIDE) * CELLS + query_cell, place, share);
    workgroupBarrier();

    var highest = largest;
    let end = QUERIES * sizes.side + place;
    for (var score_at = place; score_at < end; score_at += QUERIES) {
      highest = max(highest, scores[score_at]);
    }
    let shrink = exp(largest - highest);
    largest = highest;
    total *= shrink;
    for (var i = 0u; i < SHARE; i++) {
      sums[i] *= shrink;
    }
    var value_at = share * SHARE;
    for (var score_at = place; score_at < end; score_at += QUERIES) {
      let weight = exp(scores[score_at] - highest);
      total += weight;
      for (var i = 0u; i < SHARE; i++) {
        sums[i] = fma(vec4<f32>(weight), values[value_at + i], sums[i]);
      }
      value_at += DEPTH;
    }
  }

  if (cell < CELLS && y < sizes.height && x < sizes.width) {
    let to_cell = ((y * sizes.width + x) * HEADS + head) * DEPTH + share * SHARE;
    for (var i = 0u; i < SHARE; i++) {
      out[to_cell + i] = sums[i] / total;
    }
  }
}

// The scores of a thread's share of a row, STEP vectors of the head at a time.
fn score_row(at: u32, biases: u32, place: u32, share: u32) {
  for (var first = 0u; first < sizes.depth; first += STEP) {
    var query: array<vec4<f32>, STEP>;
    for (var i = 0u; i < STEP; i++) {
      query[i] = qkv[at + first + i] * SCALE;
    }
    var key_at = share * DEPTH + first;
    var bias_at = biases + share * CELLS;
    let end = QUERIES * sizes.side + place;
    for (var score_at = share * QUERIES + place; score_at < end; score_at += SPLIT * QUERIES) {
      var product = vec4<f32>(0.0);
      for (var i = 0u; i < STEP; i++) {
        product = fma(query[i], keys[key_at + i], product);
      }
      var score = dot(product, vec4<f32>(1.0));
      if (first == 0u) {
        score += bias[bias_at];
      } else {
        score += scores[score_at];
      }
      scores[score_at] = score;
      key_at += SPLIT * DEPTH;
      bias_at += SPLIT * CELLS;
    }
  }
}
