// Joins what the parts of an image gave (attend_image.wgsl): mixes, and the logarithms of their weights.

// Vectors of a head.
const DEPTH = MIXED / HEADS;

fn mix_values(first_row: u32, thread: u32) {
  for (var i = thread; i < ROWS * MIXED; i += THREADS) {
    let row = min(first_row + i / MIXED, sizes.rows - 1u);
    let column = i % MIXED;
    let place = row * HEADS + column / DEPTH;
    var largest = -1e30;
    for (var part = 0u; part < sizes.parts; part++) {
      largest = max(largest, weights[part * sizes.rows * HEADS + place]);
    }
    var values = vec4<f32>(0.0);
    var sum = 0.0;
    for (var part = 0u; part < sizes.parts; part++) {
      let share = exp(weights[part * sizes.rows * HEADS + place] - largest);
      values = fma(vec4<f32>(share), parts[(part * sizes.rows + row) * MIXED + column], values);
      sum += share;
    }
    mixed[i] = values / sum;
  }
}
