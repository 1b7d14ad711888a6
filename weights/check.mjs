// Before packing: the mirror has the very file that the package asks for, and its licence goes with it.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, statSync } from "node:fs";

const wanted = /sha256: "([0-9a-f]{64})"/.exec(readFileSync(new URL("../pkg/src/weights.ts", import.meta.url), "utf8"))?.[1];
const actual = createHash("sha256").update(readFileSync(new URL("tinysam.pth", import.meta.url))).digest("hex");
if (actual !== wanted) throw new Error(`tinysam.pth has the SHA-256 ${actual}, not ${wanted}: it is not the official checkpoint`);
statSync(new URL("tinysam-int8.safetensors", import.meta.url));
copyFileSync(new URL("../LICENSE-APACHE", import.meta.url), new URL("LICENSE", import.meta.url));
