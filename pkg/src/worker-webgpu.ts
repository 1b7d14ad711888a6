import init, { Engine } from "./webgpu/tinysam.js";
import { serveWorker } from "./worker.js";

// One script for each module, with all in it: it starts by any way, and from any place.
serveWorker("webgpu", { default: init, Engine });
