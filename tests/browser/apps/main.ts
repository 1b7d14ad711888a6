import * as tinysam from "tinysam";

Object.assign(globalThis, { tinysam });
