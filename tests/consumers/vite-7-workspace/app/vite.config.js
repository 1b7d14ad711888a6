export default { optimizeDeps: { exclude: ["tinysam"] } };
