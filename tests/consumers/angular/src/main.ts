import { Component, type OnInit } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";
import { check } from "./check";

@Component({ selector: "app-root", template: "" })
class App implements OnInit {
  ngOnInit(): void {
    void check();
  }
}

void bootstrapApplication(App);
