// activate(A·W + bias + residual) without workgroup memory: a thread computes four rows of COLUMNS vectors of columns, one
// or two, half the result's width apart. For software adapters, which pay for barriers most and for each load, and for
// shapes that no tile fits. `load` brings A.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let unit = (group.y * sizes.groups + group.x) * 64u + thread;
  let half = (sizes.outputs + COLUMNS - 1u) / COLUMNS;
  let column = unit % half;
  // Of an odd width the last has no other: it computes its own again, and keeps it to itself.
  let other = min(column + half, sizes.outputs - 1u);
  let first = unit / half * 4u;
  if (first >= sizes.rows) {
    return;
  }
  var sum0 = bias[column];
  var sum1 = sum0;
  var sum2 = sum0;
  var sum3 = sum0;
  var other0 = bias[other];
  var other1 = other0;
  var other2 = other0;
  var other3 = other0;
  for (var k = 0u; k < sizes.inputs; k++) {
    let a0 = load(0u, first, k);
    let a1 = load(1u, first + 1u, k);
    let a2 = load(2u, first + 2u, k);
    let a3 = load(3u, first + 3u, k);
    let row0 = k * 4u * sizes.outputs;
    let row1 = row0 + sizes.outputs;
    let row2 = row1 + sizes.outputs;
    let row3 = row2 + sizes.outputs;
    var w0 = weight[row0 + column];
    var w1 = weight[row1 + column];
    var w2 = weight[row2 + column];
    var w3 = weight[row3 + column];
    sum0 = accumulate(a0, w0, w1, w2, w3, sum0);
    sum1 = accumulate(a1, w0, w1, w2, w3, sum1);
    sum2 = accumulate(a2, w0, w1, w2, w3, sum2);
    sum3 = accumulate(a3, w0, w1, w2, w3, sum3);
    if (COLUMNS == 2u) {
      w0 = weight[row0 + other];
      w1 = weight[row1 + other];
      w2 = weight[row2 + other];
      w3 = weight[row3 + other];
      other0 = accumulate(a0, w0, w1, w2, w3, other0);
      other1 = accumulate(a1, w0, w1, w2, w3, other1);
      other2 = accumulate(a2, w0, w1, w2, w3, other2);
      other3 = accumulate(a3, w0, w1, w2, w3, other3);
    }
  }
  store(first, column, sum0);
  store(first + 1u, column, sum1);
  store(first + 2u, column, sum2);
  store(first + 3u, column, sum3);
  if (COLUMNS == 2u && column + half < sizes.outputs) {
    store(first, other, other0);
    store(first + 1u, other, other1);
    store(first + 2u, other, other2);
    store(first + 3u, other, other3);
  }
}

fn store(row: u32, column: u32, sum: vec4<f32>) {
  if (row < sizes.rows) {
    out[row * sizes.outputs + column] = activate(sum + residual_at(row, column));
  }
}
