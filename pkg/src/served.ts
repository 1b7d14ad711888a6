/**
 * What a server gives in place of a file that could not be used, if that is the fault.
 * @internal
 */
export async function notServed(address: string): Promise<string | undefined> {
  try {
    const { ok, status, headers } = await fetch(address, { method: "HEAD" });
    if (!ok) return `has status ${status}`;
    return headers.get("content-type")?.startsWith("text/html") ? "is a page of HTML" : undefined;
  } catch {
    return undefined; // what forbids the file may forbid this, too
  }
}
