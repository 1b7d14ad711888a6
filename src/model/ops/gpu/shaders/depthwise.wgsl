// activate(depthwise 3×3 convolution with padding 1), one vector of channels of one cell to a thread.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let unit = group.x * 64u + thread;
  let channel = unit % sizes.channels;
  let column = unit / sizes.channels;
  let row = group.y;
  if (column >= sizes.out_width) {
    return;
  }
  var sum = tap_bias[channel];
  for (var tap = 0u; tap < 9u; tap++) {
    // Counted from the padding: 0 is the padded row or column before the map.
    let y = row * STRIDE + tap / 3u;
    let from_column = column * STRIDE + tap % 3u;
    if (y > 0u && y <= sizes.height && from_column > 0u && from_column <= sizes.width) {
      let at = ((y - 1u) * sizes.width + from_column - 1u) * sizes.channels + channel;
      sum = fma(x[at], taps[tap * sizes.channels + channel], sum);
    }
  }
  out[(row * sizes.out_width + column) * sizes.channels + channel] = activate(sum);
}
