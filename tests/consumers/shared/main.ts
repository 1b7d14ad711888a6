import { check } from "./check";

void check();
