/**
 * TinySAM in the browser: a picture and a prompt become a mask, on the user's own machine.
 * Importing this touches nothing of a browser; the engine is fetched by {@link TinySam.load}.
 */
export * from "./engine.js";
export * from "./fal.js";
