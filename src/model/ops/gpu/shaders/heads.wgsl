// The small networks on a prompt's output tokens, one to a workgroup: the predicted IoU on the first, and a hypernetwork
// on each mask token. Three layers with ReLU between them; the weights of the five lie one after another, the last layer
// of each OUTPUTS vectors wide.

const THREADS = 256u;
const WIDTH = 64u;
// Threads that share a vector of columns.
const SPLITS = THREADS / WIDTH;

var<workgroup> row: array<vec4<f32>, WIDTH>;
var<workgroup> shares: array<vec4<f32>, THREADS>;

// A thread's share of `row` times layer `layer` of network `network`.
fn share_of(network: u32, layer: u32, thread: u32) -> vec4<f32> {
  let column = thread % WIDTH;
  let first = thread / WIDTH * (WIDTH / SPLITS);
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < WIDTH / SPLITS; i++) {
    let at = ((layer * NETWORKS + network) * WIDTH + first + i) * 4u * WIDTH + column;
    sum = accumulate(row[first + i], inner[at], inner[at + WIDTH], inner[at + 2u * WIDTH], inner[at + 3u * WIDTH], sum);
  }
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let network = group.x;
  let prompt = group.y;
  if (thread < WIDTH) {
    row[thread] = queries[(prompt * sizes.tokens + network) * WIDTH + thread];
  }
  workgroupBarrier();
  for (var layer = 0u; layer < 2u; layer++) {
    shares[thread] = share_of(network, layer, thread);
    workgroupBarrier();
    if (thread < WIDTH) {
      var sum = inner_bias[(layer * NETWORKS + network) * WIDTH + thread];
      for (var split = 0u; split < SPLITS; split++) {
        sum += shares[split * WIDTH + thread];
      }
      row[thread] = max(sum, vec4<f32>(0.0));
    }
    workgroupBarrier();
  }
  if (thread < OUTPUTS) {
    var sum = outer_bias[network * OUTPUTS + thread];
    for (var k = 0u; k < WIDTH; k++) {
      let at = (network * WIDTH + k) * 4u * OUTPUTS + thread;
      sum = accumulate(row[k], outer[at], outer[at + OUTPUTS], outer[at + 2u * OUTPUTS], outer[at + 3u * OUTPUTS], sum);
    }
    out[(prompt * NETWORKS + network) * OUTPUTS + thread] = sum;
  }
}
