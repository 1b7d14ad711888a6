// Attention among the tokens of a prompt: one head of one token to a thread, with a running softmax. `qkv` holds queries,
// keys and values side by side.

// Vectors of a head.
const DEPTH = MIXED / HEADS;

fn mix_values(first_row: u32, thread: u32) {
  if (thread >= ROWS * HEADS) {
    return;
  }
  let head = thread % HEADS;
  let row = min(first_row + thread / HEADS, sizes.rows - 1u);
  let prompt = row / sizes.tokens * sizes.tokens;
  var sums: array<vec4<f32>, DEPTH>;
  var largest = -1e30;
  var sum = 0.0;
  for (var key = prompt; key < prompt + sizes.tokens; key++) {
    var score = 0.0;
    for (var i = 0u; i < DEPTH; i++) {
      score += dot(qkv[row * 3u * MIXED + head * DEPTH + i], qkv[(key * 3u + 1u) * MIXED + head * DEPTH + i]);
    }
    score *= SCALE;
    let highest = max(largest, score);
    let shrink = exp(largest - highest);
    let share = exp(score - highest);
    largest = highest;
    sum = fma(sum, shrink, share);
    for (var i = 0u; i < DEPTH; i++) {
      sums[i] = fma(sums[i], vec4<f32>(shrink), share * qkv[(key * 3u + 2u) * MIXED + head * DEPTH + i]);
    }
  }
  for (var i = 0u; i < DEPTH; i++) {
    mixed[thread / HEADS * MIXED + head * DEPTH + i] = sums[i] / sum;
  }
}
