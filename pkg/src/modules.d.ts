// The two WebAssembly modules are built by `cargo xtask build`, after these sources are compiled or before.
declare module "*/cpu/tinysam.js" {
  const init: import("./bindings.js").EngineModule["default"];
  export default init;
  export const Engine: import("./bindings.js").EngineClass;
}

declare module "*/webgpu/tinysam.js" {
  const init: import("./bindings.js").EngineModule["default"];
  export default init;
  export const Engine: import("./bindings.js").EngineClass;
}
