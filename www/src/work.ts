import type { ModelChooser } from "./model-chooser.js";
import type { Work } from "./snippet.js";
import type { Stage } from "./stage.js";
import type { PageState } from "./state.js";

/** What is on the stage, for code that does the same. */
export function work({ layers, everything, marks }: Stage, { model }: PageState, chooser: ModelChooser): Work {
  const { checkpoint, device } = model?.choice ?? chooser.choice;
  const run = everything.shown;
  return {
    weights: checkpoint.weights,
    device,
    size: model?.size ?? chooser.sizeFor(checkpoint),
    everything: run && { options: run.options, stoppedAfter: run.stopped ? layers.all.length : undefined },
    prompt: marks.prompt(),
    picked: layers.all.length > 1 && layers.picked !== undefined ? layers.all.indexOf(layers.picked) : -1,
    refinements: layers.all.map(({ refinements }) => refinements),
  };
}

/** Where nothing is marked, fal's call finds everything. */
export function falWork(stage: Stage, state: PageState, chooser: ModelChooser): Work {
  const now = work(stage, state, chooser);
  const everything = now.everything ?? (stage.marks.isEmpty ? { options: stage.everything.wanted, stoppedAfter: undefined } : undefined);
  return { ...now, everything };
}
