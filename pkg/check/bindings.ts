// Compiles only if the modules that cargo and wasm-bindgen made are what src/ takes them for.
import * as cpu from "../dist/cpu/tinysam.js";
import * as webgpu from "../dist/webgpu/tinysam.js";
import type { EngineModule } from "../src/bindings.js";

export const modules: readonly EngineModule[] = [cpu, webgpu];
