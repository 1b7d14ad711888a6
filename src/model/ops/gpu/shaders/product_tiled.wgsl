// activate(A·W + bias + residual), a tile of the result to a workgroup: slices of A and W meet in workgroup memory, and a
// thread keeps ROWS × COLUMNS vectors of the result in registers. `load` brings A.

const THREADS_ACROSS = TILE_COLUMNS / COLUMNS;
const THREADS_DOWN = TILE_ROWS / ROWS;
const THREADS = THREADS_ACROSS * THREADS_DOWN;

var<workgroup> tile_x: array<vec4<f32>, TILE_ROWS * TILE_DEPTH>;
var<workgroup> tile_w: array<vec4<f32>, 4u * TILE_DEPTH * TILE_COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let across = thread % THREADS_ACROSS;
  let down = thread / THREADS_ACROSS;
  let first_row = group.y * TILE_ROWS;
  let first_column = group.x * TILE_COLUMNS;
  prepare(first_row, thread);

  var sums: array<vec4<f32>, ROWS * COLUMNS>;
  for (var k = 0u; k < sizes.inputs; k += TILE_DEPTH) {
    for (var i = thread; i < TILE_ROWS * TILE_DEPTH; i += THREADS) {
      let place = i / TILE_DEPTH;
      tile_x[i] = load(place, first_row + place, k + i % TILE_DEPTH);
    }
    for (var i = thread; i < 4u * TILE_DEPTH * TILE_COLUMNS; i += THREADS) {
      let column = min(first_column + i % TILE_COLUMNS, sizes.outputs - 1u);
      tile_w[i] = weight[(k * 4u + i / TILE_COLUMNS) * sizes.outputs + column];
    }
    workgroupBarrier();
    for (var slice = 0u; slice < DEPTH_BOUND; slice++) {
      for (var c = 0u; c < COLUMNS; c++) {
        let at = slice * 4u * TILE_COLUMNS + across + c * THREADS_ACROSS;
        let w0 = tile_w[at];
        let w1 = tile_w[at + TILE_COLUMNS];
        let w2 = tile_w[at + 2u * TILE_COLUMNS];
        let w3 = tile_w[at + 3u * TILE_COLUMNS];
        for (var r = 0u; r < ROWS; r++) {
          let a = tile_x[(down + r * THREADS_DOWN) * TILE_DEPTH + slice];
          sums[r * COLUMNS + c] = accumulate(a, w0, w1, w2, w3, sums[r * COLUMNS + c]);
        }
      }
    }
    workgroupBarrier();
  }

  for (var r = 0u; r < ROWS; r++) {
    let row = first_row + down + r * THREADS_DOWN;
    for (var c = 0u; c < COLUMNS; c++) {
      let column = first_column + across + c * THREADS_ACROSS;
      if (row < sizes.rows && column < sizes.outputs) {
        let sum = sums[r * COLUMNS + c] + bias[column] + residual_at(row, column);
        out[row * sizes.outputs + column] = activate(sum);
      }
    }
  }
}
