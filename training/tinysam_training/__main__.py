"""`python -m tinysam_training --help`."""
import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tinysam_training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="train, or continue the run in the folder")
    run.add_argument("--out", type=Path, default=Path("runs/latest"))
    run.add_argument("--minutes", type=float, required=True, help="of training in all, resumed or not")
    run.add_argument("--curriculum", choices=["cpu", "gpu", "tiny"], default=None, help="the device's by default")
    run.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--workers", type=int, default=1, help="processes that make scenes")
    run.add_argument("--save-minutes", type=float, default=3.0)
    options = vars(parser.parse_args())
    verb = options.pop("verb")
    if verb == "run":
        from .train import Options, Run

        options["curriculum"] = options["curriculum"] or ("gpu" if options["device"] == "cuda" else "cpu")
        Run(Options(**options)).train()


if __name__ == "__main__":
    main()
