import { spawn } from 'node:child_process';

/** The program that opens an address, and what stands before the address. No shell reads it. */
const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/**
 * Opens an address in the person's browser.
 *
 * @returns a promise that is rejected when there is no browser
 */
export function openInBrowser(url: URL): Promise<void> {
  const [command, ...args] = OPENERS[process.platform] ?? ['xdg-open'];
  return new Promise((resolve, reject) => {
    const opener = spawn(command, [...args, url.href], { stdio: 'ignore', detached: true });
    opener.unref();
    opener.on('error', (error: NodeJS.ErrnoException) => {
      // The error itself holds the address.
      reject(new Error(`${command} cannot be started (${error.code ?? 'unknown error'}).`));
    });
    opener.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ended with ${String(code)}.`));
    });
  });
}
