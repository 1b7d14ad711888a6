// The masks of a prompt: its image tokens upscaled twice by transposed 2×2 convolutions, with LayerNorm and GELU after the
// first and GELU after the second, times the output of each mask's hypernetwork. Eight cells to a workgroup, sixteen
// logits of each mask to a cell; the upscaled maps never lie in memory. Cells are counted in the part of the grid that is
// seen, its first `columns` columns. `vectors` holds the two biases and the norm's weight and bias.

const CELLS = 8u;
const THREADS = 256u;
// Vectors of a cell before and after the first step, of a quarter after it, and of all after the second.
const WIDTH = 64u;
const QUARTER = 16u;
const FINE = 32u;
// Cells that a thread takes through the first step.
const COARSE = CELLS * WIDTH / THREADS;
// Quarters of the cells, and how many of them a thread takes through the second.
const QUARTERS = CELLS * 4u;
const ROWS = QUARTERS * FINE / THREADS;
const APART = THREADS / FINE;
const MASKS = 4u;
// Vectors of a fine cell, and of what a network gives.
const DEPTH = 8u;
// Of a thread's fine cells, those of one half of the cells.
const HALF = ROWS / 2u;

// The cells, then their quarters, then products by mask: each when the one before is done with.
var<workgroup> tile: array<vec4<f32>, CELLS * WIDTH>;
var<workgroup> shares: array<f32, CELLS * WIDTH>;

// Of each of a thread's cells, the sum over the threads of a quarter.
fn totals(values: ptr<function, array<f32, COARSE>>, column: u32, first: u32) {
  for (var r = 0u; r < COARSE; r++) {
    shares[(first + r) * WIDTH + column] = (*values)[r];
  }
  workgroupBarrier();
  for (var r = 0u; r < COARSE; r++) {
    var sum = 0.0;
    for (var i = 0u; i < sizes.quarter; i++) {
      sum += shares[(first + r) * WIDTH + column / QUARTER * QUARTER + i];
    }
    (*values)[r] = sum;
  }
  workgroupBarrier();
}

// The masks of half the cells, of whose fine cells a thread has HALF vectors.
fn draw(fine: ptr<function, array<vec4<f32>, ROWS>>, half: u32, bias: vec4<f32>, prompt: u32, first_cell: u32, thread: u32) {
  let column = thread % FINE;
  for (var i = 0u; i < HALF; i++) {
    let value = gelu((*fine)[half * HALF + i] + bias);
    var products = vec4<f32>(0.0);
    // What the networks say of this thread's channels.
    let at = (prompt * (MASKS + 1u) + 1u) * DEPTH + column % DEPTH;
    products.x = dot(value, heads[at]);
    products.y = dot(value, heads[at + DEPTH]);
    products.z = dot(value, heads[at + 2u * DEPTH]);
    products.w = dot(value, heads[at + 3u * DEPTH]);
    tile[(thread / FINE + i * APART) * FINE + column] = products;
  }
  workgroupBarrier();
  // A fine cell to a thread: its four masks.
  let quarter = half * (QUARTERS / 2u) + thread / 4u;
  let cell = first_cell + quarter / 4u;
  if (thread < QUARTERS * 2u && cell < sizes.seen) {
    var masks = vec4<f32>(0.0);
    for (var i = 0u; i < DEPTH; i++) {
      masks += tile[thread / 4u * FINE + thread % 4u * DEPTH + i];
    }
    let area = sizes.seen * 16u;
    let y = cell / sizes.columns * 4u + quarter % 4u / 2u * 2u + thread % 4u / 2u;
    let x = cell % sizes.columns * 4u + quarter % 2u * 2u + thread % 2u;
    let at = prompt * MASKS * area + y * sizes.columns * 4u + x;
    out[at] = masks.x;
    out[at + area] = masks.y;
    out[at + 2u * area] = masks.z;
    out[at + 3u * area] = masks.w;
  }
  workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let prompt = group.y;
  let first_cell = group.x * CELLS;
  for (var i = thread; i < CELLS * WIDTH; i += THREADS) {
    let cell = min(first_cell + i / WIDTH, sizes.seen - 1u);
    let place = cell / sizes.columns * sizes.grid + cell % sizes.columns;
    tile[i] = x[(prompt * sizes.cells + place) * WIDTH + i % WIDTH];
  }
  workgroupBarrier();

  // The first step: one vector of the quarters of each of a thread's cells.
  let coarse_column = thread % WIDTH;
  let first = thread / WIDTH * COARSE;
  var values: array<vec4<f32>, COARSE>;
  for (var k = 0u; k < sizes.width; k++) {
    let at = k * 4u * WIDTH + coarse_column;
    let w0 = weight1[at];
    let w1 = weight1[at + WIDTH];
    let w2 = weight1[at + 2u * WIDTH];
    let w3 = weight1[at + 3u * WIDTH];
    for (var r = 0u; r < COARSE; r++) {
      values[r] = accumulate(tile[(first + r) * WIDTH + k], w0, w1, w2, w3, values[r]);
    }
  }
  let channels = f32(QUARTER * 4u);
  var moments: array<f32, COARSE>;
  for (var r = 0u; r < COARSE; r++) {
    values[r] += vectors[coarse_column];
    moments[r] = dot(values[r], vec4<f32>(1.0));
  }
  totals(&moments, coarse_column, first);
  for (var r = 0u; r < COARSE; r++) {
    values[r] -= moments[r] / channels;
    moments[r] = dot(values[r], values[r]);
  }
  totals(&moments, coarse_column, first);
  let gamma = vectors[WIDTH + FINE + coarse_column % QUARTER];
  let beta = vectors[WIDTH + FINE + QUARTER + coarse_column % QUARTER];
  for (var r = 0u; r < COARSE; r++) {
    let scale = 1.0 / sqrt(moments[r] / channels + EPSILON);
    tile[(first + r) * WIDTH + coarse_column] = gelu(fma(values[r] * scale, gamma, beta));
  }
  workgroupBarrier();

  // The second: one vector of the fine cells of each of a thread's quarters.
  let column = thread % FINE;
  var fine: array<vec4<f32>, ROWS>;
  for (var k = 0u; k < sizes.quarter; k++) {
    let at = k * 4u * FINE + column;
    let w0 = weight2[at];
    let w1 = weight2[at + FINE];
    let w2 = weight2[at + 2u * FINE];
    let w3 = weight2[at + 3u * FINE];
    for (var r = 0u; r < ROWS; r++) {
      fine[r] = accumulate(tile[(thread / FINE + r * APART) * QUARTER + k], w0, w1, w2, w3, fine[r]);
    }
  }
  workgroupBarrier();
  // In halves, for which there is room.
  let bias = vectors[WIDTH + column];
  draw(&fine, 0u, bias, prompt, first_cell, thread);
  draw(&fine, 1u, bias, prompt, first_cell, thread);
}
