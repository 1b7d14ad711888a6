// The projection alone, 64 vectors of columns of four tokens to a workgroup.
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * ROWS + thread / WIDTH;
  rows[thread] = queries[min(row, sizes.rows - 1u) * WIDTH + thread % WIDTH];
  workgroupBarrier();
  project(group.y * ROWS, group.x * WIDTH, thread);
}
