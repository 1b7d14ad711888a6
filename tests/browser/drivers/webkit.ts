import { spawn, type ChildProcess } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { Builder, By, Capabilities } from "selenium-webdriver";
import { PATIENCE, expression, type Driver } from "./driver.ts";

/** WebKitGTK's MiniBrowser on a display of its own, by WebDriver. */
export async function openWebKit(): Promise<Driver> {
  const started: ChildProcess[] = [];
  const end = () => started.forEach((child) => child.kill());
  try {
    const display = await openDisplay(started);
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    const program = process.env.WEBKIT_DRIVER ?? "/usr/bin/WebKitWebDriver";
    started.push(spawn(program, [`--port=${port}`], { env: { ...process.env, DISPLAY: display }, stdio: "ignore" }));
    await answers(address);
    const capabilities = new Capabilities({ browserName: "MiniBrowser", "webkitgtk:browserOptions": { args: ["--automation"] } });
    const driver = await new Builder().usingServer(address).disableEnvironmentOverrides().withCapabilities(capabilities).build();
    await driver.manage().setTimeouts({ script: PATIENCE, pageLoad: PATIENCE });
    return {
      goto: (url) => driver.get(url),
      run: (inPage, ...args) => driver.executeScript(`return ${expression(inPage, args)}`),
      click: (selector) => driver.findElement(By.css(selector)).click(),
      close: async () => {
        await driver.quit();
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** Starts an X server without a screen, which picks its number itself. */
async function openDisplay(started: ChildProcess[]): Promise<string> {
  const server = spawn(process.env.XVFB ?? "/usr/bin/Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  started.push(server);
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
    (server.stdio[3] as Readable).once("data", (number) => resolve(`:${String(number).trim()}`));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until a server listens. */
async function answers(address: string): Promise<void> {
  for (const end = Date.now() + PATIENCE; ; ) {
    try {
      return void (await fetch(`${address}/status`));
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
