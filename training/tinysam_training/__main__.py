"""Train a TinySAM on generated scenes and on photographs, evaluate it, export it for the engine."""
import argparse
import json
import os
from pathlib import Path

from .curriculum import CURRICULA

WEIGHTS = "a run's run.pt (its moving average) or a .safetensors file"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m tinysam_training", description=__doc__)
    verbs = whole.add_subparsers(dest="verb", required=True)

    run = verbs.add_parser("run", help="train, or continue the run in a folder")
    run.add_argument("--out", type=Path, default=Path("runs/latest"))
    run.add_argument("--minutes", type=float, required=True, help="of training in all, what was done before included")
    run.add_argument("--curriculum", choices=list(CURRICULA), help="by default the device's")
    run.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--workers", type=int, help="processes that make scenes; by default 1, with a GPU all cores")
    run.add_argument("--compose", action=argparse.BooleanOptionalAction, help="on the device; by default with a GPU")
    run.add_argument("--bf16", action=argparse.BooleanOptionalAction, help="by default with a GPU")
    run.add_argument("--weights", type=Path, help=f"to begin with, instead of from nothing: {WEIGHTS}")
    run.add_argument("--photos", type=Path, help="the set's folder, for the curricula of photographs")
    run.add_argument("--save-minutes", type=float, default=3.0)
    run.set_defaults(call=_run)

    choose = verbs.add_parser("choose", help="teach a run's score head alone to choose among the three masks")
    choose.add_argument("run", type=Path, help="a run's run.pt, which is changed")
    choose.add_argument("--photos", type=Path, required=True, help="the set's folder")
    choose.add_argument("--pictures", type=int, default=600)
    choose.add_argument("--side", type=int, default=320)
    choose.set_defaults(call=_choose)

    evaluate = verbs.add_parser("evaluate", help="mean IoU on held-out scenes or on labelled photos")
    evaluate.add_argument("weights", type=Path, help=WEIGHTS)
    evaluate.add_argument("--side", type=int, default=256)
    evaluate.add_argument("--scenes", type=int, default=100)
    evaluate.add_argument("--photos", type=Path, help="a folder with LabelMe or COCO polygons, instead of scenes")
    evaluate.set_defaults(call=_evaluate)

    export = verbs.add_parser("export", help="write a checkpoint for the engine, evaluated")
    export.add_argument("run", type=Path, help="a run's run.pt")
    export.add_argument("to", type=Path, help=".safetensors")
    export.add_argument("--precision", choices=["f32", "f16", "int8"], default="int8")
    export.add_argument("--side", type=int, default=256)
    export.add_argument("--scenes", type=int, default=100)
    export.add_argument("--photos", type=Path, help="evaluate on these, as `evaluate` does, instead of scenes")
    export.set_defaults(call=_export)

    look = verbs.add_parser("look", help="draw the mask of a click or a box on a photo")
    look.add_argument("weights", type=Path, help=WEIGHTS)
    look.add_argument("photo", type=Path)
    look.add_argument("to", type=Path, help=".png or .jpg")
    look.add_argument("--point", type=float, nargs=2, action="append", default=[], metavar=("X", "Y"))
    look.add_argument("--box", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"))
    look.add_argument("--side", type=int, default=256)
    look.set_defaults(call=_look)

    sheet = verbs.add_parser("sheet", help="draw the card's picture: a click and a box on each of some photos")
    sheet.add_argument("weights", type=Path, help=WEIGHTS)
    sheet.add_argument("photos", type=Path, help="a folder")
    sheet.add_argument("prompts", type=Path, help=".json: for each photo's name a point and a box (xyxy)")
    sheet.add_argument("to", type=Path, help=".png or .jpg")
    sheet.add_argument("--side", type=int, default=256)
    sheet.set_defaults(call=_sheet)

    golden = verbs.add_parser("golden", help="write what this implementation computes, for cargo xtask verify")
    golden.add_argument("weights", type=Path, help=WEIGHTS)
    golden.add_argument("photo", type=Path)
    golden.add_argument("prompts", type=Path, help=".json whose `prompts` are those of a golden: points, labels, box (xyxy), mask")
    golden.add_argument("to", type=Path, help=".json")
    golden.add_argument("--side", type=int, default=256)
    golden.set_defaults(call=_golden)

    everything = verbs.add_parser("everything", help="write what this implementation finds in a whole picture, as a golden")
    everything.add_argument("weights", type=Path, help=WEIGHTS)
    everything.add_argument("photo", type=Path)
    everything.add_argument("to", type=Path, help=".json")
    everything.add_argument("--side", type=int, default=256)
    everything.add_argument("--points-per-side", type=int, default=32, help="a multiple of 4")
    everything.add_argument("--pred-iou", type=float, default=0.88, help="the least predicted IoU")
    everything.add_argument("--stability", type=float, default=0.95, help="the least stability score")
    everything.add_argument("--confident", type=float, default=8.5, help="logits over it are confident")
    everything.add_argument("--regions", type=int, default=0, help="islands and holes of fewer pixels are removed")
    everything.set_defaults(call=_everything)

    photos = verbs.add_parser("photos", help="compare a folder with the manifest of the photographs")
    photos.add_argument("folder", type=Path)
    photos.set_defaults(call=_photos)

    pack = verbs.add_parser("pack", help="write one archive that trains on a machine without a network")
    pack.add_argument("to", type=Path, help=".tar.gz")
    pack.add_argument("--photos", type=Path, required=True, help="the set's folder")
    pack.add_argument("--weights", type=Path, required=True, help=f"to begin with: {WEIGHTS}")
    pack.set_defaults(call=_pack)

    pieces = verbs.add_parser("pieces", help="write a run's weights in pieces, to be carried")
    pieces.add_argument("run", type=Path, help="a run's run.pt")
    pieces.add_argument("to", type=Path, help="a folder")
    pieces.set_defaults(call=_pieces)

    join = verbs.add_parser("join", help="put the pieces together")
    join.add_argument("folder", type=Path)
    join.add_argument("to", type=Path, help=".safetensors")
    join.set_defaults(call=_join)

    onnx = verbs.add_parser("onnx", help="write encoder.onnx and decoder.onnx, to measure other runtimes with")
    onnx.add_argument("weights", type=Path, help=WEIGHTS)
    onnx.add_argument("to", type=Path, help="a folder")
    onnx.add_argument("--side", type=int, default=1024)
    onnx.set_defaults(call=_onnx)
    return whole


def _run(**options) -> None:
    from .train import Options, Run

    gpu = options["device"] == "cuda"
    defaults = {
        "curriculum": ("photos-gpu" if gpu else "photos") if options["photos"] else ("gpu" if gpu else "cpu"),
        "workers": os.cpu_count() if gpu else 1, "compose": gpu, "bf16": gpu,
    }  # fmt: skip
    options |= {name: value for name, value in defaults.items() if options[name] is None}
    Run(Options(**options)).train()


def _choose(run: Path, photos: Path, pictures: int, side: int) -> None:
    from . import choice
    from .album import Album, entries
    from .export import open_weights
    from .train import replace_average

    model, album = open_weights(run), Album(photos, entries("train"))
    head, kept = model.mask_decoder.iou_prediction_head, pictures * 9 // 10
    learnt = choice.examples(model, album, side, range(kept))
    held_out = choice.examples(model, album, side, range(kept, pictures))
    before = held_out.chosen(head)
    choice.teach(head, learnt)
    told = {"prompts": len(learnt.iou), "held_out": len(held_out.iou), "before": before, "after": held_out.chosen(head)}
    print(json.dumps(told | {"best_of_three": held_out.best}, indent=1))
    replace_average(run, model)


def _evaluate(weights: Path, side: int, scenes: int, photos: Path | None) -> None:
    from . import evaluate
    from .export import open_weights

    model = open_weights(weights)
    told = evaluate.on_photos(model, side, photos) if photos else evaluate.on_scenes(model, side, scenes)
    print(json.dumps({"side": side} | told, indent=1))


def _export(run: Path, to: Path, precision: str, side: int, scenes: int, photos: Path | None) -> None:
    from . import evaluate
    from .export import export, open_weights

    trained = open_weights(run)
    if photos:
        told = {"side": side, "data": "validation photographs"} | evaluate.on_photos(trained, side, photos)
    else:
        told = {"side": side, "scenes": scenes} | evaluate.on_scenes(trained, side, scenes)
    export(run, to, told, precision)
    told["agreement_with_the_run"] = evaluate.agreement(trained, open_weights(to), side, photos)
    print(json.dumps(told, indent=1))


def _look(weights: Path, photo: Path, to: Path, point: list[list[float]], box: list[float] | None, side: int) -> None:
    from .export import open_weights
    from .look import overlay

    image, score = overlay(open_weights(weights), photo, side, point, box)
    image.save(to)
    print(f"predicted IoU {score:.2f}")


def _sheet(weights: Path, photos: Path, prompts: Path, to: Path, side: int) -> None:
    from .export import open_weights
    from .look import sheet

    image, told = sheet(open_weights(weights), side, photos, json.loads(prompts.read_text()))
    image.save(to)
    print("\n".join(told))


def _golden(weights: Path, photo: Path, prompts: Path, to: Path, side: int) -> None:
    from .export import open_weights
    from .frame import open_rgb
    from .golden import write

    write(open_weights(weights), open_rgb(photo), side, json.loads(prompts.read_text())["prompts"], photo.stem, to)


def _everything(weights: Path, photo: Path, to: Path, side: int, **settings) -> None:
    from .everything import Config, write
    from .export import open_weights
    from .frame import open_rgb

    names = {
        "points_per_side": "points_per_side", "pred_iou": "pred_iou_thresh", "stability": "stability_score_thresh",
        "confident": "high_score_thresh", "regions": "min_mask_region_area",
    }  # fmt: skip
    config = Config(**{names[name]: value for name, value in settings.items()})
    nearest = write(open_weights(weights), open_rgb(photo), side, config, photo.stem, to)
    print(json.dumps({"nearest to another outcome": nearest.distances}, indent=1))


def _photos(folder: Path) -> None:
    from .album import entries, faults

    held = entries("train") + entries("val")
    told = faults(folder, held)
    print("\n".join(told), f"{len(held) - len(told)} of {len(held)} photos are as the manifest says", sep="\n")
    raise SystemExit(1 if told else 0)


def _pack(to: Path, photos: Path, weights: Path) -> None:
    from .pack import ROOT, pack

    size = pack(to, photos, weights)
    print(f"{to}: {size / 2**20:.1f} MiB. There: tar xf {to.name} && sh {ROOT}/train.sh MINUTES LIMIT OUT")


def _pieces(run: Path, to: Path) -> None:
    from .pack import split

    for path in split(run, to):
        print(f"{path}: {path.stat().st_size} bytes")


def _join(folder: Path, to: Path) -> None:
    from .pack import join

    join(folder, to)


def _onnx(weights: Path, to: Path, side: int) -> None:
    from .export import open_weights
    from .onnx import write

    write(open_weights(weights), side, to)


def main() -> None:
    options = vars(parser().parse_args())
    options.pop("verb")
    options.pop("call")(**options)


if __name__ == "__main__":
    main()
