import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { contentOf, tooLarge } from "../../../www/src/content.ts";
import { readLink, writeLink } from "../../../www/src/link.ts";

const WWW = fileURLToPath(new URL("../../../www/src", import.meta.url));

const bytes = (text: string, length = 64) => new Blob([Buffer.concat([Buffer.from(text, "latin1"), Buffer.alloc(Math.max(0, length - text.length))])]);

test("a link is read as it was written, whatever is in it", () => {
  const options = { pointsPerSide: 32, predIouThresh: 0.88, stabilityScoreThresh: 0.95, boxNmsThresh: 0.7 };
  for (const marks of [
    { points: [], boxes: [] },
    { points: [{ at: [1.5, 2], label: 1 }, { at: [0, 300.1], label: 0 }], boxes: [[1, 2, 3, 4]] },
    { points: [], boxes: [[1, 2, 3, 4], [5, 6, 7.5, 8]] },
    { points: [], boxes: [], everything: options },
  ] as const) {
    for (const photo of ["coffee.png", "https://host.example/a;b,c%20d.png?x=1&y=2#z", undefined]) {
      const link = { photo, weights: "https://host.example/w&x.pth", device: undefined, size: "512", marks };
      const address = writeLink(link, "https://page.example/tinysam/?size=64#old");
      expect(address).toMatch(/^https:\/\/page\.example\/tinysam\/#/);
      expect(readLink(new URL(address))).toEqual(link);
    }
  }
});

test("what a link does not say well is left out", () => {
  const read = (hash: string) => readLink({ hash, search: "?size=64&device=cpu" });
  expect(read("")).toEqual({ photo: undefined, weights: undefined, device: "cpu", size: "64", marks: { points: [], boxes: [] } });
  expect(read("#size=128").size).toBe("128");
  for (const points of ["1,2", "1,2,", "a,b,1", "1,2,1e999", ";;", "1,2,3,4"]) expect(read(`#points=${points}`).marks.points, points).toEqual([]);
  expect(read("#points=1,2,7").marks.points).toEqual([{ at: [1, 2], label: 1 }]);
  expect(read("#everything=1,2").marks).toEqual({ points: [], boxes: [] });
  // Several boxes are a batch, which has no points.
  expect(read("#points=1,2,1&boxes=1,2,3,4;5,6,7,8").marks.points).toEqual([]);
});

test("files are told by what is in them", async () => {
  for (const [begin, kind] of [
    ["PK\x03\x04", "checkpoint"],
    ["\x80\x02}q", "checkpoint"],
    ["\x40\0\0\0\0\0\0\0{\"a\":", "checkpoint"],
    ["\x89PNG\r\n\x1a\n", "picture"],
    ["\xff\xd8\xff\xe0", "picture"],
    ["II*\0", "picture"],
    ["no photo", "unknown"],
    ["", "unknown"],
  ] as const) {
    expect((await contentOf(bytes(begin))).kind, begin).toBe(kind);
  }
  expect((await contentOf(new Blob([]))).kind).toBe("unknown");
  // Ends within its head.
  expect(await contentOf(bytes("\x89PNG\r\n\x1a\n", 12))).toEqual({ kind: "picture", format: "PNG" });
  expect(await contentOf(bytes("\xff\xd8\xff\xe0\0\x10JFIF", 11))).toEqual({ kind: "picture", format: "JPEG" });
});

test("a picture's sides are read from its head", async () => {
  const webp = (chunk: string, rest: string) => `RIFF\0\0\0\0WEBP${chunk}\0\0\0\0${rest}`;
  for (const [text, format, sides] of [
    ["\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x4e\x20\0\0\x00\x14", "PNG", [20000, 20]],
    ["GIF89a\x60\xea\x60\xea", "GIF", [60000, 60000]],
    ["BM" + "\0".repeat(16) + "\x00\x01\0\0\xfe\xff\xff\xff", "BMP", [256, 2]],
    ["\xff\xd8\xff\xe1\x00\x04ab\xff\xc4\x00\x02\xff\xff\xc2\x00\x11\x08\x0f\xa0\x17\x70", "JPEG", [6000, 4000]],
    [webp("VP8 ", "\0\0\0\x9d\x01\x2a\x80\x02\xe0\x41"), "WebP", [640, 480]],
    [webp("VP8L", "\x2f\x7f\xc2\x77\0"), "WebP", [640, 480]],
    [webp("VP8X", "\0\0\0\0\x7f\x02\0\xdf\x01\0"), "WebP", [640, 480]],
    ["\0\0\0\x1cftypavif" + "\0".repeat(20) + "ispe\0\0\0\0\0\0\0\x40\0\0\0\x40ispe\0\0\0\0\0\0\x02\x80\0\0\x01\xe0", "AVIF", [640, 480]],
  ] as const) {
    expect(await contentOf(bytes(text, 96)), format).toEqual({ kind: "picture", format, sides });
  }
  expect(tooLarge([16_384, 6_103])).toBeUndefined();
  expect(tooLarge([60_000, 60_000])).toBe("60000 × 60000 pixels, 3600 megapixels: at most 16384 a side and 100 megapixels can be segmented. Make it smaller first");
  for (const sides of [[16_385, 1], [1, 16_385], [16_384, 6_104]] as const) expect(tooLarge(sides)).toBeDefined();
});

test("the page's modules are small, and import each other in one direction", () => {
  const files = readdirSync(WWW, { recursive: true, encoding: "utf8" }).filter((name) => /\.(ts|css)$/.test(name));
  const imports = new Map<string, string[]>();
  for (const name of files) {
    const code = readFileSync(join(WWW, name), "utf8");
    expect(code.split("\n").length, name).toBeLessThanOrEqual(250);
    const names = [...code.matchAll(/from "(\.[^"]+)\.js"/g)].map(([, path]) => `${normalize(join(dirname(name), path!))}.ts`);
    imports.set(name, names);
  }
  expect(imports.get("main.ts")).toContain("stage.ts");
  const walk = (name: string, above: readonly string[]): void => {
    expect(above, `${[...above, name].join(" → ")}`).not.toContain(name);
    for (const next of imports.get(name) ?? []) walk(next, [...above, name]);
  };
  for (const name of files) walk(name, []);
});
