// The package in a page, by the names of its module: an engine on the CPU with as many workers as are asked for.

/** What engine.mjs and rival-worker.mjs use of a module. `tinysam` is the package. */
export const packaged = (tinysam, workers) => ({
  Engine: {
    load: async (weights) => {
      const sam = await tinysam.TinySam.load({ weights, cache: false, device: "cpu", workers });
      // On a busy machine the others may come late.
      while (sam.device.workers < workers) await new Promise((resolve) => setTimeout(resolve, 50));
      return {
        backend: "cpu",
        adapter: `WebAssembly, ${sam.device.instructions}, ${sam.device.workers} workers`,
        kernels: sam.device.instructions,
        memory: () => sam.memory(),
        free: () => sam.free(),
        embed: async (image, size) => {
          const embedded = await sam.embed(image, { size });
          return {
            segment: async (prompts) => (await embedded.segment(prompts.map(({ box, ...rest }) => (box ? { ...rest, boxes: [box] } : rest)))).flat(),
            everything: (options, onBatch) => embedded.everything({ ...options, onProgress: onBatch }).masks,
            free: () => embedded.free(),
          };
        },
      };
    },
  },
});
