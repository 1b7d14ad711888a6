// The left factor of a product is a list of rows, each normalised over its channels on the way in: a LayerNorm that costs
// no pass over memory of its own.

// Threads that share a row while it is measured.
const LANES = 8u;

var<workgroup> shares: array<f32, TILE_ROWS * LANES>;
// Mean and 1/deviation of each row of the tile.
var<workgroup> moments: array<vec2<f32>, TILE_ROWS>;

fn total(row: u32) -> f32 {
  var sum = 0.0;
  for (var lane = 0u; lane < LANES; lane++) {
    sum += shares[row * LANES + lane];
  }
  return sum / f32(sizes.inputs * 4u);
}

// Measures the rows of a tile. The deviations are summed in a second pass: `mean(x²) − mean²` cancels.
fn prepare(first: u32, thread: u32) {
  let lane = thread % LANES;
  for (var place = thread / LANES; place < TILE_ROWS; place += THREADS / LANES) {
    let from_row = min(first + place, sizes.rows - 1u) * sizes.inputs;
    var sum = vec4<f32>(0.0);
    for (var k = lane; k < sizes.inputs; k += LANES) {
      sum += x[from_row + k];
    }
    shares[place * LANES + lane] = dot(sum, vec4<f32>(1.0));
  }
  workgroupBarrier();
  for (var place = thread; place < TILE_ROWS; place += THREADS) {
    moments[place] = vec2<f32>(total(place), 0.0);
  }
  workgroupBarrier();
  for (var place = thread / LANES; place < TILE_ROWS; place += THREADS / LANES) {
    let from_row = min(first + place, sizes.rows - 1u) * sizes.inputs;
    let mean = moments[place].x;
    var sum = vec4<f32>(0.0);
    for (var k = lane; k < sizes.inputs; k += LANES) {
      let difference = x[from_row + k] - mean;
      sum = fma(difference, difference, sum);
    }
    shares[place * LANES + lane] = dot(sum, vec4<f32>(1.0));
  }
  workgroupBarrier();
  for (var place = thread; place < TILE_ROWS; place += THREADS) {
    moments[place].y = 1.0 / sqrt(total(place) + EPSILON);
  }
  workgroupBarrier();
}

fn load(place: u32, row: u32, k: u32) -> vec4<f32> {
  let moment = moments[place];
  let value = x[min(row, sizes.rows - 1u) * sizes.inputs + k];
  return fma((value - moment.x) * moment.y, gamma[k], beta[k]);
}
