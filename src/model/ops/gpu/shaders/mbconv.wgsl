// GELU(x + project(GELU(depthwise(GELU(expand(x)))))), HEIGHT×8 cells to a workgroup. The expanded map, four times as wide as
// the input, is made in chunks of 32 channels with a margin of one cell, convolved and projected while it lies in
// workgroup memory by THREADS threads; the sums of the projection stay in registers from the first chunk to the last.

const SIDE = 8u;
// With the margin.
const WIDE = SIDE + 2u;
const HIGH = HEIGHT + 2u;
// Vectors of expanded channels at once.
const CHUNK = 8u;
// Cells that a thread convolves and projects.
const CONVOLVED = HEIGHT * SIDE * CHUNK / THREADS;
const PROJECTED = HEIGHT * SIDE * OUTPUTS / THREADS;
const ACROSS = THREADS / CHUNK;
const DOWN = THREADS / OUTPUTS;

var<workgroup> tile: array<vec4<f32>, HIGH * WIDE * CHUNK>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let top = group.y * HEIGHT;
  let left = group.x * SIDE;
  let channel = thread % CHUNK;
  let first = thread / CHUNK;
  let column = thread % OUTPUTS;
  let row = thread / OUTPUTS;

  var sums: array<vec4<f32>, PROJECTED>;
  for (var chunk = 0u; chunk < sizes.hidden; chunk += CHUNK) {
    for (var i = 0u; i < sizes.expanded; i += TOGETHER) {
      widen(first + i * ACROSS, top, left, chunk + channel);
    }
    workgroupBarrier();

    var convolved: array<vec4<f32>, CONVOLVED>;
    let tap_bias = biases[sizes.hidden + chunk + channel];
    for (var i = 0u; i < CONVOLVED; i++) {
      convolved[i] = tap_bias;
    }
    for (var tap = 0u; tap < sizes.taps; tap++) {
      let w = taps[tap * sizes.hidden + chunk + channel];
      for (var i = 0u; i < CONVOLVED; i++) {
        let cell = first + i * ACROSS;
        let from_cell = (cell / SIDE + tap / 3u) * WIDE + cell % SIDE + tap % 3u;
        convolved[i] = fma(tile[from_cell * CHUNK + channel], w, convolved[i]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < CONVOLVED; i++) {
      tile[(first + i * ACROSS) * CHUNK + channel] = gelu(convolved[i]);
    }
    workgroupBarrier();

    for (var k = 0u; k < sizes.chunk; k++) {
      let at = (chunk + k) * 4u * OUTPUTS + column;
      let w0 = project[at];
      let w1 = project[at + OUTPUTS];
      let w2 = project[at + 2u * OUTPUTS];
      let w3 = project[at + 3u * OUTPUTS];
      for (var i = 0u; i < PROJECTED; i++) {
        sums[i] = accumulate(tile[(row + i * DOWN) * CHUNK + k], w0, w1, w2, w3, sums[i]);
      }
    }
    workgroupBarrier();
  }

  let bias = biases[2u * sizes.hidden + column];
  for (var i = 0u; i < PROJECTED; i++) {
    let cell = row + i * DOWN;
    let y = top + cell / SIDE;
    let across = left + cell % SIDE;
    if (y < sizes.height && across < sizes.width) {
      let at = (y * sizes.width + across) * OUTPUTS + column;
      out[at] = gelu(sums[i] + bias + x[at]);
    }
  }
}

// Expands TOGETHER cells, ACROSS apart, for one vector of channels.
fn widen(first: u32, top: u32, left: u32, channel: u32) {
  var places: array<u32, TOGETHER>;
  var expanded: array<vec4<f32>, TOGETHER>;
  for (var i = 0u; i < TOGETHER; i++) {
    let cell = first + i * ACROSS;
    // Counted from the margin: 0 is the row or column before the map.
    let y = clamp(top + cell / WIDE, 1u, sizes.height) - 1u;
    let across = clamp(left + cell % WIDE, 1u, sizes.width) - 1u;
    places[i] = (y * sizes.width + across) * sizes.inputs;
  }
  for (var k = 0u; k < sizes.inputs; k++) {
    let at = k * 4u * sizes.hidden + channel;
    let w0 = expand[at];
    let w1 = expand[at + sizes.hidden];
    let w2 = expand[at + 2u * sizes.hidden];
    let w3 = expand[at + 3u * sizes.hidden];
    for (var i = 0u; i < TOGETHER; i++) {
      expanded[i] = accumulate(x[places[i] + k], w0, w1, w2, w3, expanded[i]);
    }
  }
  let bias = biases[channel];
  for (var i = 0u; i < TOGETHER; i++) {
    let cell = first + i * ACROSS;
    let y = top + cell / WIDE;
    let across = left + cell % WIDE;
    let inside = y > 0u && y <= sizes.height && across > 0u && across <= sizes.width;
    if (cell < HIGH * WIDE) {
      // Beyond the map the depthwise convolution sees zeros, not what a cell of zeros would expand to.
      tile[cell * CHUNK + channel % CHUNK] = select(vec4<f32>(0.0), gelu(expanded[i] + bias), inside);
    }
  }
}
