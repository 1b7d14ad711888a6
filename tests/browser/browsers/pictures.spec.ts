/** Pictures as they really come, in three browsers: what must come out of each, as a file and as an element. */
import { readFileSync } from "node:fs";
import type { Given, Outcome, Seen } from "../apps/pictures.ts";
import { BROWSERS, expect, test, type BrowserName } from "./browsers.ts";

type Colour = readonly [number, number, number];
const FOUR: Colour[] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]];
const GREYS: Colour[] = [[0, 0, 0], [85, 85, 85], [170, 170, 170], [255, 255, 255]];
const all = (colour: Colour): Colour[] => [colour, colour, colour, colour];

/** The sides and the colours of the quarters that must come out of a file of tests/fixtures/pictures. */
type Row = readonly [file: string, sides: readonly [number, number], colours: readonly Colour[]];

/** How the four colours are stored so that each EXIF orientation, from 1 to 8, shows them as above; the last four stand upright. */
const STORED = [[0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0], [2, 3, 0, 1], [0, 2, 1, 3], [1, 3, 0, 2], [3, 1, 2, 0], [2, 0, 3, 1]];
/**
 * Who turns a format as its EXIF says. The others show it as it is stored, and the mask belongs to the picture that one
 * sees. Firefox turns PNGs in newer versions than ESR 140: it is asked.
 */
const TURN: Record<string, readonly BrowserName[]> = {
  jpg: BROWSERS,
  png: ["chromium"],
  avif: ["chromium", "firefox"],
  webp: [],
};

const turned = (browser: BrowserName, also: readonly string[]) =>
  Object.entries(TURN).flatMap(([ending, turners]) =>
    STORED.map((stored, i): Row => {
      const file = `turned${i + 1}.${ending}`;
      if (turners.includes(browser) || also.includes(ending)) return [file, [32, 16], FOUR];
      return [file, i < 4 ? [32, 16] : [16, 32], stored.map((at) => FOUR[at]!)];
    }),
  );
const ROWS: readonly Row[] = [
  ["grey.png", [32, 16], GREYS],
  ["grey.jpg", [32, 16], GREYS],
  ["deep-grey.png", [32, 16], GREYS],
  ["deep.png", [32, 16], FOUR],
  ["palette.png", [32, 16], FOUR],
  ["palette.gif", [32, 16], FOUR],
  ["bit.png", [32, 16], [[0, 0, 0], [255, 255, 255], [255, 255, 255], [0, 0, 0]]],
  ["plain.bmp", [32, 16], FOUR],
  ["interlaced.png", [32, 16], FOUR],
  ["progressive.jpg", [32, 16], FOUR],
  ["rgb.jpg", [32, 16], FOUR],
  ["cmyk.jpg", [32, 16], FOUR],
  // Transparency is laid over white: the second quarter has none of its colour, the third half.
  ["half-transparent.png", [32, 16], [[255, 0, 0], [255, 255, 255], [127, 127, 255], [255, 255, 0]]],
  // (200, 100, 50) of Display P3, in sRGB.
  ["wide-gamut.png", [32, 16], [[216, 93, 24], [255, 255, 255], [0, 0, 0], [129, 129, 129]]],
  ["1x1.png", [1, 1], all([255, 255, 255])],
  ["wide.png", [16384, 1], all([255, 255, 255])],
  ["tall.png", [1, 16384], all([255, 255, 255])],
];

/** Of an animation, the first frame. */
const ANIMATED: readonly Row[] = [
  ["animated.png", [32, 16], FOUR],
  ["animated.webp", [32, 16], FOUR],
  ["animated.avif", [32, 16], FOUR],
  ["red-then-blue.gif", [8, 6], all([255, 0, 0])],
];

/** JPEG's and AVIF's losses, and what colour management rounds. */
const NEAR = 12;

/** A picture with these sides and about these colours. */
function expectSeen(found: Outcome, [file, sides, colours]: Row): void {
  expect(found, file).toMatchObject({ sides });
  const worst = (found as Seen).colours.flatMap((colour, i) => colour.map((value, c) => Math.abs(value - colours[i]![c]!)));
  expect(Math.max(...worst), `${file}: ${JSON.stringify(found)}`).toBeLessThanOrEqual(NEAR);
}

const bytesOf = (file: string) => [...readFileSync(new URL(`../../fixtures/pictures/${file}`, import.meta.url))];
const box = (brand: string): Given => ({ bytes: `\0\0\0\u0018ftyp${brand}\0\0\0\0${brand}mif1` });

/** What is no picture that browsers read, or not all of one; and what is said of it. */
const REFUSED: Record<string, readonly [given: Given, says: RegExp]> = {
  "too wide": ["/pictures/too-wide.png", /^image_too_large: .*16385×1/],
  "too tall": ["/pictures/too-tall.png", /^image_too_large: .*1×16385/],
  "a header alone, of 60000×60000": ["/pictures/enormous.gif", /^image_too_large: .*60000×60000/],
  "nothing that can be seen": ["/pictures/transparent.png", /^image_invalid: .*wholly transparent/],
  nothing: [{ bytes: "" }, /^image_invalid: .*the file is empty/],
  text: [{ bytes: "hello" }, /^image_invalid: .*no picture of a known format/],
  "a web page": [{ bytes: "<!doctype html><title>404</title>" }, /^image_invalid: .*a web page: check the address/],
  "a drawing": [{ bytes: '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>' }, /^image_invalid: .*an SVG drawing/],
  "a document": [{ bytes: "%PDF-1.7 and so on" }, /^image_invalid: .*a PDF document/],
  "a TIFF": [{ bytes: "II*\0\u0008\0\0\0\0\0" }, /^image_invalid: .*TIFF.*convert it/],
  "a HEIC": [box("heic"), /^image_invalid: .*HEIC.*convert it/],
  "a video": [{ bytes: "\0\0\0\u0018ftypisom\0\0\0\0isommp41" }, /^image_invalid: .*a video/],
};

/** Files of which the end is missing. */
const CUT: Record<string, RegExp> = {
  "turned1.jpg": /a JPEG, but damaged or cut off/,
  "progressive.jpg": /a JPEG, but damaged or cut off/,
  "turned1.png": /a PNG, but damaged or cut off/,
  "turned1.webp": /a WebP, but damaged or cut off/,
  "palette.gif": /a GIF, but damaged or cut off/,
  "plain.bmp": /a Windows bitmap, but damaged or cut off/,
  "turned1.avif": /an AVIF.*damaged/,
};

for (const browser of BROWSERS) {
  test.describe(browser, () => {
    test("what is shown is what is segmented", async ({ open }) => {
      const page = await open(browser);
      // An element of a picture that lies on its side stands upright where the browser turns it.
      const upright = async (file: string) => (await page.run((file) => looks.sides(file), `/pictures/${file}`)).join() === "32,16";
      const rows = [...turned(browser, browser === "firefox" && (await upright("turned6.png")) ? ["png"] : []), ...ROWS];
      const found = await page.run((files) => looks.pictures(files), rows.map(([file]) => `/pictures/${file}`));
      found.forEach(({ file, element }, i) => {
        for (const way of [file, element]) {
          expectSeen(way, rows[i]!);
          // To the pixel what the browser itself shows; colour management may round.
          expect((way as { apart: number }).apart, rows[i]![0]).toBeLessThanOrEqual(2);
        }
      });
    });

    test("of an animation, the first frame; of an element that plays it, one of them", async ({ open }) => {
      const page = await open(browser);
      const found = await page.run((files) => looks.pictures(files), ANIMATED.map(([file]) => `/pictures/${file}`));
      found.forEach(({ file, element }, i) => {
        const row = ANIMATED[i]!;
        expectSeen(file, row);
        // WebKit gives the frame that the element shows, which may be the second.
        if (browser === "webkit") expect(element).toMatchObject({ sides: row[1] });
        else expectSeen(element, row);
      });
    });

    test("a picture is known by its bytes, whatever it says that it is", async ({ open }) => {
      const page = await open(browser);
      const given = ["image/png", "text/plain", "application/octet-stream", ""].map((type) => ({ bytes: bytesOf("turned6.jpg"), type }));
      for (const { file } of await page.run((given) => looks.pictures(given), given)) expectSeen(file, ["turned6.jpg", [32, 16], FOUR]);
    });

    test("what cannot be read is told as what it is", async ({ open }) => {
      const page = await open(browser);
      const rows = Object.entries(REFUSED);
      const found = await page.run((given) => looks.pictures(given), rows.map(([, [given]]) => given));
      found.forEach(({ file }, i) => expect(file, rows[i]![0]).toMatch(rows[i]![1][1]));
      expect(found[0]!.element).toMatch(REFUSED["too wide"]![1]);
      const text = rows.findIndex(([name]) => name === "text");
      expect(found[text]!.element).toMatch(/^image_invalid: the image element shows no picture/);
    });

    // Firefox reads some of them as far as they go, and shows them so; WebKit gives pixels of which none can be seen.
    test("of a file that is cut off comes what there is of it, or what is wrong", async ({ open }) => {
      const page = await open(browser);
      const rows = Object.entries(CUT);
      const given = rows.map(([file]) => ({ bytes: bytesOf(file).slice(0, Math.floor(bytesOf(file).length * 0.7)) }));
      const found = await page.run((given) => looks.pictures(given), given);
      found.forEach(({ file }, i) => {
        const [name, says] = rows[i]!;
        if (typeof file === "string") expect(file, name).toMatch(new RegExp(`^image_invalid: .*(${says.source}|wholly transparent, or damaged or cut off)`));
        else expect(file.sides, name).toEqual([32, 16]);
      });
    });

    test("a video and its frames are what is drawn of them", async ({ open }) => {
      const page = await open(browser);
      const found = await page.run(() => looks.videos("/pictures/turned.mp4"));
      expect(found).toHaveLength(10);
      const [video] = found;
      // Stored 320×200; a display matrix turns it: green, yellow over red, blue.
      expect(video!.shown.sides).toEqual([200, 320]);
      for (const { name, embedded, shown } of found) {
        expect(embedded, name).toMatchObject({ sides: shown.sides });
        expect((embedded as { apart: number }).apart, name).toBeLessThanOrEqual(2);
      }
    });
  });
}
