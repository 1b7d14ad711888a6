// Rows of tokens in workgroup memory, four to a workgroup of 256 threads, and products of them with a weight.

const ROWS = 4u;
const THREADS = 256u;
// Vectors of a token.
const WIDTH = 64u;

var<workgroup> rows: array<vec4<f32>, ROWS * WIDTH>;
