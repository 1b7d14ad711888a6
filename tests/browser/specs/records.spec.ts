/** Masks in the formats of other tools. */
import { expect, test } from "../fixtures.ts";

/** What pycocotools needs of a file: `COCO(file)`, then `loadRes` of its annotations. */
interface Coco {
  info: object;
  images: { id: number; width: number; height: number; file_name: string }[];
  categories: { id: number; name: string }[];
  annotations: { id: number; image_id: number; category_id: number; iscrowd: number; area: number; bbox: number[]; score: number; segmentation: unknown }[];
}

test("records of COCO, GeoJSON, labelme and YOLO hold the masks' own pixels", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128 });
    const image = await sam.embed("/photos/coffee.png");
    const masks = [...(await image.segment({ points: [[180, 160]], multimask: true })), ...(await image.segment({ boxes: [[72, 60, 258, 220], [300, 200, 200, 150]] }))];
    /** How many pixels a path fills that a mask does not, or leaves out. */
    const off = async (path: Path2D, mask: import("tinysam").Mask, rule: CanvasFillRule) => {
      const context = new OffscreenCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true })!;
      context.fill(path, rule);
      const [drawn, pixels] = [context.getImageData(0, 0, image.width, image.height).data, (await mask.toImageData()).data];
      let wrong = 0;
      for (let i = 3; i < pixels.length; i += 4) if (drawn[i]! > 127 !== pixels[i]! > 127) wrong += 1;
      return wrong;
    };
    const ring = (corners: readonly (readonly number[])[]) => `M${corners.map((corner) => corner.join(" ")).join("L")}Z`;
    const pairs = (flat: readonly number[]) => flat.flatMap((_, i) => (i % 2 === 0 ? [[flat[i]!, flat[i + 1]!]] : []));
    const labels = masks.map((_, i) => (i % 2 === 0 ? "cup" : "spoon"));
    const options = { labels, categories: ["spoon", "cup", "plate"], fileName: "coffee.png", tolerance: 0 };
    const rle = await image.toCoco(masks, options);
    const coco = await image.toCoco(masks, { ...options, segmentation: "polygons" });
    const geo = await image.toGeoJSON(masks, options);
    const labelme = await image.toLabelme(masks, options);
    const yolo = await image.toYolo(masks, options);
    const wrong: Record<string, number[]> = {};
    for (const [i, mask] of masks.entries()) {
      const polygons = coco.annotations[i]!.segmentation as number[][];
      const shapes = labelme.shapes.filter(({ group_id }) => group_id === i + 1);
      const words = yolo.split("\n")[i]!.split(" ").slice(1).map(Number);
      const scaled = words.map((share, at) => share * (at % 2 === 0 ? image.width : image.height));
      wrong[`mask ${i + 1}`] = [
        await off(await mask.toPath2D(0), mask, "evenodd"),
        await off(new Path2D(await mask.toSvgPath(0)), mask, "nonzero"),
        await off(new Path2D(polygons.map((flat) => ring(pairs(flat))).join("")), mask, "nonzero"),
        await off(new Path2D(geo.features[i]!.geometry.coordinates.flat().map(ring).join("")), mask, "evenodd"),
        shapes.length === 0 ? 0 : await off(new Path2D(shapes.map(({ points }) => ring(points)).join("")), mask, "nonzero"),
        await off(new Path2D(ring(pairs(scaled))), mask, "evenodd"),
      ];
    }
    const closed = geo.features.every(({ geometry }) => geometry.coordinates.flat().every((of) => of[0]!.join() === of.at(-1)!.join()));
    const bitmap = await masks[0]!.toImageBitmap();
    const parts = await masks[0]!.toPolygons(0);
    const areaOf = (flat: Float32Array) => pairs([...flat]).reduce((sum, [x, y], i, all) => sum + x! * all[(i + 1) % all.length]![1]! - y! * all[(i + 1) % all.length]![0]!, 0) / 2;
    return {
      rle,
      wrong,
      closed,
      labelme: { ...labelme, shapes: labelme.shapes.length },
      shape: labelme.shapes[0],
      yolo: yolo.trimEnd().split("\n").map((line) => line.slice(0, 2)),
      areas: masks.map(({ area }) => area),
      bboxes: masks.map(({ bbox }) => bbox),
      labelsOf: geo.features.map(({ properties }) => properties.label),
      bitmap: [bitmap.width, bitmap.height],
      area: parts.reduce((sum, { outline, holes }) => sum + areaOf(outline) + holes.reduce((inner, hole) => inner + areaOf(hole), 0), 0),
      json: JSON.stringify(rle).length > 0,
    };
  });
  const coco = run.rle as unknown as Coco;
  expect(coco.info).toEqual({ description: "Segmented by tinysam", version: "1.0" });
  expect(coco.images).toEqual([{ id: 1, file_name: "coffee.png", width: 600, height: 400 }]);
  expect(coco.categories.map(({ id, name }) => [id, name])).toEqual([[1, "spoon"], [2, "cup"], [3, "plate"]]);
  expect(coco.annotations.map(({ id, category_id }) => [id, category_id])).toEqual([[1, 2], [2, 1], [3, 2], [4, 1], [5, 2]]);
  expect(coco.annotations.map(({ area }) => area)).toEqual(run.areas);
  expect(coco.annotations.map(({ bbox }) => bbox)).toEqual(run.bboxes);
  for (const { image_id, iscrowd, segmentation, score } of coco.annotations) {
    expect({ image_id, iscrowd, segmentation }).toMatchObject({ image_id: 1, iscrowd: 0, segmentation: { size: [400, 600], counts: expect.any(String) } });
    expect(score).toEqual(expect.any(Number));
  }
  for (const [name, wrong] of Object.entries(run.wrong)) {
    // Bridges and shares of six decimals touch pixels that a canvas then blends.
    expect(wrong.slice(0, 2), name).toEqual([0, 0]);
    expect(Math.max(...wrong), `${name}: ${wrong.join()}`).toBeLessThan(0.001 * 600 * 400);
  }
  expect(run.closed).toBe(true);
  expect(run.area).toBe(run.areas[0]);
  expect(run.yolo).toEqual(["1 ", "0 ", "1 ", "0 ", "1 "]);
  expect(run.labelsOf).toEqual(["cup", "spoon", "cup", "spoon", "cup"]);
  expect(run.labelme).toMatchObject({ version: expect.any(String), imagePath: "coffee.png", imageData: null, imageWidth: 600, imageHeight: 400 });
  expect(run.shape).toMatchObject({ label: "cup", shape_type: "polygon", flags: {} });
  expect(run.bitmap).toEqual([600, 400]);
});

test("several masks make one mask, one cut-out and one overlay", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const masks = await image.segment({ boxes: [[0, 0, 200, 200], [300, 200, 200, 150]] });
    const pixels = async (blob: Blob) => {
      const context = new OffscreenCanvas(600, 400).getContext("2d")!;
      context.drawImage(await createImageBitmap(blob), 0, 0);
      return context.getImageData(0, 0, 600, 400).data;
    };
    const [mask, cutout, overlay] = [await pixels(await image.toBlob(masks, "mask")), await pixels(await image.toBlob(masks, "cutout")), await pixels(await image.toBlob(masks, "overlay"))];
    const each = await Promise.all(masks.map((one) => one.toImageData()));
    let wrong = 0;
    for (let i = 0; i < mask.length; i += 4) {
      const inside = each.some(({ data }) => data[i + 3] === 255);
      if (mask[i] !== (inside ? 255 : 0) || cutout[i + 3] !== (inside ? 255 : 0) || overlay[i + 3] !== 255) wrong += 1;
    }
    const none = await pixels(await image.toBlob([], "mask"));
    return { wrong, inside: masks.some(({ area }) => area > 0), none: none.some((value, i) => i % 4 < 3 && value > 0) };
  });
  expect(run).toEqual({ wrong: 0, inside: true, none: false });
});

test("what records cannot say is refused, and masks of nothing are left out", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const [mask] = await image.segment({ points: [[180, 160]] });
    const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => `${error.code}: ${error.message}`);
    const nothing = { ...mask!, area: 0, toRle: () => mask!.toRle(), toPolygons: () => mask!.toPolygons() } as never;
    const refused = {
      labels: await code(image.toCoco([mask!], { labels: ["a", "b"] })),
      stranger: await code(image.toYolo([mask!], { labels: ["a"], categories: ["b"] })),
      segmentation: await code(image.toCoco([mask!], { segmentation: "polygon" as never })),
      unknown: await code(image.toGeoJSON([mask!], { name: "a" } as never)),
      tolerance: await code(image.toLabelme([mask!], { tolerance: NaN })),
      negative: await code(mask!.toPolygons(-1)),
    };
    mask!.free();
    return {
      refused,
      freed: await code(image.toCoco([mask!])),
      empty: [(await image.toCoco([])).annotations.length, (await image.toGeoJSON([])).features.length, (await image.toLabelme([nothing])).shapes.length, await image.toYolo([nothing])],
    };
  });
  for (const said of Object.values(run.refused)) expect(said).toMatch(/^option_invalid: /);
  expect(run.refused.unknown).toContain('no "name"; there is labels, categories, fileName, tolerance');
  expect(run.freed).toMatch(/^released: /);
  expect(run.empty).toEqual([0, 0, 0, ""]);
});
