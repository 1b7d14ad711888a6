/**
 * A value with each leaf replaced by its type: what two servers must have in common. Of a list, its kinds of entries.
 */
export function shape(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shape(item))))];
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).sort().map(([name, item]) => [name, shape(item)]));
}
