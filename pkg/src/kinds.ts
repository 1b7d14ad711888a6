/**
 * The platform's name of an object ("Blob", "ImageData", …), "" for anything else. Unlike `instanceof` it also knows
 * objects of another window or frame, and classes that this place does not have.
 * @internal
 */
export function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  const tag: unknown = Reflect.get(value, Symbol.toStringTag);
  return typeof tag === "string" ? tag : "";
}
