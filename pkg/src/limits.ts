/** The largest picture that is segmented (the engine's own limits, src/error.rs): its longer side, and its pixels in all. */
export const PICTURE_LIMITS = { side: 16_384, pixels: 100_000_000 } as const;
