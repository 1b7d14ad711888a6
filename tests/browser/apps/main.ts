import { fal as official } from "@fal-ai/client";
import * as tinysam from "tinysam";

/** `official`: the client of an application that has its own. */
Object.assign(globalThis, { official, tinysam });
