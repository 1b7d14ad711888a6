import init, { Engine } from "./cpu/tinysam.js";
import { serveWorker } from "./worker.js";

// One worker script for each module, so that nothing in a worker is imported dynamically: bundlers that make
// workers of the classic kind (Vite, unless told otherwise) cannot split them.
serveWorker({ default: init, Engine });
