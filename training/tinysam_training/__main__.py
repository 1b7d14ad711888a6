"""Train a TinySAM on generated scenes, evaluate it, export it for the engine."""
import argparse
import json
import os
from pathlib import Path

WEIGHTS = "a run's run.pt (its moving average) or a .safetensors file"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m tinysam_training", description=__doc__)
    verbs = whole.add_subparsers(dest="verb", required=True)

    run = verbs.add_parser("run", help="train, or continue the run in a folder")
    run.add_argument("--out", type=Path, default=Path("runs/latest"))
    run.add_argument("--minutes", type=float, required=True, help="of training in all, what was done before included")
    run.add_argument("--curriculum", choices=["cpu", "gpu", "tiny"], help="the device's by default")
    run.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--workers", type=int, help="processes that make scenes; by default 1, with a GPU all cores")
    run.add_argument("--compose", action=argparse.BooleanOptionalAction, help="on the device; by default with a GPU")
    run.add_argument("--bf16", action=argparse.BooleanOptionalAction, help="by default with a GPU")
    run.add_argument("--weights", type=Path, help=f"to begin with, instead of from nothing: {WEIGHTS}")
    run.add_argument("--save-minutes", type=float, default=3.0)
    run.set_defaults(call=_run)

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
    export.set_defaults(call=_export)

    look = verbs.add_parser("look", help="draw the mask of a click or a box on a photo")
    look.add_argument("weights", type=Path, help=WEIGHTS)
    look.add_argument("photo", type=Path)
    look.add_argument("to", type=Path, help=".png or .jpg")
    look.add_argument("--point", type=float, nargs=2, action="append", default=[], metavar=("X", "Y"))
    look.add_argument("--box", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"))
    look.add_argument("--side", type=int, default=256)
    look.set_defaults(call=_look)

    golden = verbs.add_parser("golden", help="write what this implementation computes, for cargo xtask verify")
    golden.add_argument("weights", type=Path, help=WEIGHTS)
    golden.add_argument("photo", type=Path)
    golden.add_argument("prompts", type=Path, help=".json whose `prompts` are those of a golden: points, labels, box (xyxy), mask")
    golden.add_argument("to", type=Path, help=".json")
    golden.add_argument("--side", type=int, default=256)
    golden.set_defaults(call=_golden)
    return whole


def _run(**options) -> None:
    from .train import Options, Run

    gpu = options["device"] == "cuda"
    defaults = {"curriculum": "gpu" if gpu else "cpu", "workers": os.cpu_count() if gpu else 1, "compose": gpu, "bf16": gpu}
    options |= {name: value for name, value in defaults.items() if options[name] is None}
    Run(Options(**options)).train()


def _evaluate(weights: Path, side: int, scenes: int, photos: Path | None) -> None:
    from . import evaluate
    from .export import open_weights

    model = open_weights(weights)
    told = evaluate.on_photos(model, side, photos) if photos else evaluate.on_scenes(model, side, scenes)
    print(json.dumps({"side": side} | told, indent=1))


def _export(run: Path, to: Path, precision: str, side: int, scenes: int) -> None:
    from . import evaluate
    from .export import export, open_weights

    told = {"side": side, "scenes": scenes} | evaluate.on_scenes(open_weights(run), side, scenes)
    export(run, to, told, precision)
    told["agreement_with_the_run"] = evaluate.agreement(open_weights(run), open_weights(to), side)
    print(json.dumps(told, indent=1))


def _look(weights: Path, photo: Path, to: Path, point: list[list[float]], box: list[float] | None, side: int) -> None:
    from .export import open_weights
    from .look import overlay

    image, score = overlay(open_weights(weights), photo, side, point, box)
    image.save(to)
    print(f"predicted IoU {score:.2f}")


def _golden(weights: Path, photo: Path, prompts: Path, to: Path, side: int) -> None:
    from .export import open_weights
    from .frame import open_rgb
    from .golden import write

    write(open_weights(weights), open_rgb(photo), side, json.loads(prompts.read_text())["prompts"], photo.stem, to)


def main() -> None:
    options = vars(parser().parse_args())
    options.pop("verb")
    options.pop("call")(**options)


if __name__ == "__main__":
    main()
