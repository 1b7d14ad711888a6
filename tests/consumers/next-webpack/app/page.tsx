"use client";

import { useEffect } from "react";
import { check } from "../src/check";

export default function Page() {
  useEffect(() => void check(), []);
  return null;
}
