// node sizes.mjs FILE: its bytes plain, gzipped and brotlied, as a JSON list.
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const bytes = readFileSync(process.argv[2]);
const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
console.log(JSON.stringify([bytes.length, gzipSync(bytes, { level: 9 }).length, brotli.length]));
