// LayerNorm(x + project(attention of an image's cells to a prompt's tokens)), sixteen cells to a workgroup. `vectors` holds
// the projection's bias and the norm's weight and bias.

const CELLS = 16u;
const THREADS = 256u;
// Vectors of a head, of all, and of a cell.
const DEPTH = 4u;
const MIXED = HEADS * DEPTH;
const WIDTH = 64u;
// Cells that a thread projects, one vector of each.
const ROWS = CELLS * WIDTH / THREADS;
// Threads that add up a cell.
const LANES = THREADS / CELLS;

var<workgroup> mixed: array<vec4<f32>, CELLS * MIXED>;
var<workgroup> shares: array<f32, CELLS * WIDTH>;
var<workgroup> sums: array<f32, THREADS>;

// Of each of a thread's cells, the sum over its vectors.
fn totals(values: ptr<function, array<f32, ROWS>>, column: u32, first: u32, thread: u32) {
  for (var r = 0u; r < ROWS; r++) {
    shares[(first + r) * WIDTH + column] = (*values)[r];
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < WIDTH / LANES; i++) {
    sum += shares[thread / LANES * WIDTH + i * LANES + thread % LANES];
  }
  sums[thread] = sum;
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) {
    sum = 0.0;
    for (var lane = 0u; lane < sizes.lanes; lane++) {
      sum += sums[(first + r) * LANES + lane];
    }
    (*values)[r] = sum;
  }
  workgroupBarrier();
}

// One head of one cell to a thread, with a running softmax.
fn attend(prompt: u32, first_cell: u32, thread: u32) {
  let head = thread % HEADS;
  let cell = min(first_cell + thread / HEADS, sizes.cells - 1u);
  let at = prompt * sizes.projected_step + cell * sizes.stride + sizes.queries + head * DEPTH;
  var query: array<vec4<f32>, DEPTH>;
  var attended: array<vec4<f32>, DEPTH>;
  for (var i = 0u; i < DEPTH; i++) {
    query[i] = projected[at + i] * SCALE;
  }
  var largest = -1e30;
  var total = 0.0;
  for (var token = 0u; token < sizes.tokens; token++) {
    let key = (prompt * sizes.tokens + token) * 2u * MIXED + head * DEPTH;
    var score = 0.0;
    for (var i = 0u; i < DEPTH; i++) {
      score += dot(query[i], keys_values[key + i]);
    }
    let highest = max(largest, score);
    let shrink = exp(largest - highest);
    let weight = exp(score - highest);
    largest = highest;
    total = fma(total, shrink, weight);
    for (var i = 0u; i < DEPTH; i++) {
      attended[i] *= shrink;
    }
    // What weighs nothing is not read; and no value is read before its weight is known, which saves registers.
    if (weight > 0.0) {
      for (var i = 0u; i < DEPTH; i++) {
        attended[i] = fma(vec4<f32>(weight), keys_values[key + MIXED + i], attended[i]);
      }
    }
  }
  for (var i = 0u; i < DEPTH; i++) {
    mixed[thread / HEADS * MIXED + head * DEPTH + i] = attended[i] / total;
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let prompt = group.y;
  let first_cell = group.x * CELLS;

  if (thread < CELLS * HEADS) {
    attend(prompt, first_cell, thread);
  }
  workgroupBarrier();

  let column = thread % WIDTH;
  let first = thread / WIDTH * ROWS;
  var values: array<vec4<f32>, ROWS>;
  for (var k = 0u; k < sizes.mixed; k++) {
    let at = k * 4u * WIDTH + column;
    let w0 = weight[at];
    let w1 = weight[at + WIDTH];
    let w2 = weight[at + 2u * WIDTH];
    let w3 = weight[at + 3u * WIDTH];
    for (var r = 0u; r < ROWS; r++) {
      let a = mixed[(first + r) * MIXED + k];
      values[r] = accumulate(a, w0, w1, w2, w3, values[r]);
    }
  }
  let channels = f32(WIDTH * 4u);
  var moments: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let cell = min(first_cell + first + r, sizes.cells - 1u);
    values[r] += vectors[column] + x[prompt * sizes.x_step + cell * WIDTH + column];
    moments[r] = dot(values[r], vec4<f32>(1.0));
  }
  totals(&moments, column, first, thread);
  for (var r = 0u; r < ROWS; r++) {
    values[r] -= moments[r] / channels;
    moments[r] = dot(values[r], values[r]);
  }
  totals(&moments, column, first, thread);
  for (var r = 0u; r < ROWS; r++) {
    let cell = first_cell + first + r;
    if (cell < sizes.cells) {
      let scale = 1.0 / sqrt(moments[r] / channels + EPSILON);
      out[(prompt * sizes.cells + cell) * WIDTH + column] = fma(values[r] * scale, vectors[WIDTH + column], vectors[2u * WIDTH + column]);
    }
  }
}
