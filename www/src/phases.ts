import type { Progress } from "tinysam";

/** How long each phase of loading took, in milliseconds. */
export type PhaseTimes = Partial<Record<Progress["phase"], number>>;

/** Takes the time of phases that follow one another. */
export class PhaseClock {
  readonly times: PhaseTimes = {};
  #phase: Progress["phase"] | undefined;
  #since = 0;

  /** This phase goes on, or begins and ends the one before; none ends the last. */
  at(phase: Progress["phase"] | undefined): void {
    if (phase === this.#phase) return;
    const now = performance.now();
    if (this.#phase !== undefined) this.times[this.#phase] = (this.times[this.#phase] ?? 0) + now - this.#since;
    this.#phase = phase;
    this.#since = now;
  }
}
