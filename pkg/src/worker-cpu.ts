import init, { Engine } from "./cpu/tinysam.js";
import { serveWorker } from "./worker.js";

// One script for each module, with all in it: it starts by any way, and from any place.
serveWorker("cpu", { default: init, Engine });
