import { TinySamError, type ErrorCode } from "./errors.js";

/**
 * The names of a type's properties, all of them: the compiler holds the list against the type.
 * @internal
 */
export type Names<T> = { readonly [Name in keyof Required<T>]: true };

/**
 * Refuses a name that means nothing: a slip of the pen would silently be the default.
 *
 * @throws `option_invalid`, or what `code` says
 * @internal
 */
export function checkNames<T>(given: unknown, names: Names<T>, whose: string, code: ErrorCode = "option_invalid"): asserts given is T {
  if (typeof given !== "object" || given === null) {
    throw new TinySamError(code, `${whose} must be an object, not ${given === null ? "null" : typeof given}`);
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(names, name)) throw new TinySamError(code, `${whose} has no "${name}"; there is ${Object.keys(names).join(", ")}`);
  }
}

/**
 * Without the properties that are there but undefined: the engine takes those for values of a wrong type.
 * @internal
 */
export function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}
