import * as official from "@fal-ai/client";
import { Door } from "./door.js";
import { Engine } from "./engine.js";

export type { DoorClient, FalModel, FalSettings } from "./door.js";

// The bundled client's classes, and not those of an `@fal-ai/client` that the application has beside this package. They
// would be the same if the client stayed outside of the bundle. But it is published as CommonJS alone: a page without a
// bundler cannot load it, with an import map or without, and Vite's development server can neither, where this package
// is left out of its optimizer. Nor does it mark its errors in a way by which another copy's could be known; what both
// have is `name`.
//
// Constants, and not re-exported names, so that they stand beside the client and a bundler can leave out all of it.
/** fal's own error: a status, and the body that came with it. */
export const ApiError = official.ApiError;
export type ApiError<Body> = official.ApiError<Body>;
/** fal's own error for a status of 422: what is wrong with which field. */
export const ValidationError = official.ValidationError;
export type ValidationError = official.ValidationError;
/** As fal's client has them. */
export const withMiddleware = official.withMiddleware;
export const withProxy = official.withProxy;
export const isRetryableError = official.isRetryableError;
export const parseEndpointId = official.parseEndpointId;
export const isQueueStatus = official.isQueueStatus;
export const isCompletedQueueStatus = official.isCompletedQueueStatus;

const door = /* @__PURE__ */ new Door((settings) => new Engine(settings));

/** Sets how requests to `fal-ai/tiny-sam` are served; what is not named stays as it is. */
export const configure = /* @__PURE__ */ (() => door.configure)();
/** A `fetch` that answers requests to `fal-ai/tiny-sam` on the device, for a fal client of one's own. */
export const fetch: typeof globalThis.fetch = /* @__PURE__ */ (() => door.fetch)();
/** As `createFalClient` of fal's client, with `fal-ai/tiny-sam` answered on the device. */
export const createFalClient = /* @__PURE__ */ (() => door.createFalClient)();
/** fal's own client, with `fal-ai/tiny-sam` answered on the device. */
export const fal = /* @__PURE__ */ (() => door.fal)();
