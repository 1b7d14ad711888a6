import init, { Engine } from "./webgpu/tinysam.js";
import { serveWorker } from "./worker.js";

// One worker script for each module, so that nothing in a worker is imported dynamically: bundlers that make
// workers of the classic kind (Vite, unless told otherwise) cannot split them. And by name: webpack drops what
// it sees used only through a namespace that is passed on.
serveWorker({ default: init, Engine });
