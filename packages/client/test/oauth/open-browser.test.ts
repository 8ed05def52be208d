import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { openInBrowser } from '../../src/oauth/open-browser.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  vi.stubEnv('PATH', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function opener(script: string): Promise<void> {
  const path = join(folder, 'xdg-open');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

describe.runIf(process.platform === 'linux')('openInBrowser', () => {
  it('hands the address over as it is, and to no shell', async () => {
    await opener(`printf '%s' "$1" > '${join(folder, 'opened')}'`);
    await openInBrowser(new URL('https://login.example/auth?a=$(id)&b=`id`;c'));
    expect(await readFile(join(folder, 'opened'), 'utf8')).toBe(
      'https://login.example/auth?a=$(id)&b=`id`;c',
    );
  });

  it('fails where there is no browser', async () => {
    await opener('exit 3');
    await expect(openInBrowser(new URL('https://login.example/'))).rejects.toThrow('ended with 3');
  });

  it('fails where there is no opener, and does not show the address', async () => {
    const error: unknown = await openInBrowser(new URL('https://login.example/?state=secret')).catch(
      (reason: unknown) => reason,
    );
    expect(inspect(error)).toContain('ENOENT');
    expect(inspect(error, { showHidden: true })).not.toContain('secret');
  });
});
