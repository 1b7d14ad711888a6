import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "@playwright/test";

test("importing in Node touches nothing, and using it says what is missing", () => {
  const entry = pathToFileURL(join(process.env.TINYSAM_INSTALLED ?? "", "dist/index.js")).href;
  const script = `
    const before = Object.getOwnPropertyNames(globalThis).sort().join();
    const { TinySam, chooseDevice } = await import(${JSON.stringify(entry)});
    const same = before === Object.getOwnPropertyNames(globalThis).sort().join();
    const code = await TinySam.load().catch((error) => error.code);
    console.log(JSON.stringify({ same, code, device: await chooseDevice() }));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
  expect(JSON.parse(output)).toMatchObject({ same: true, code: "unsupported", device: { kind: "cpu" } });
});
