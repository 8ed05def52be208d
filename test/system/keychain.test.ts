import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { keychainTokenStore } from '@a2a-auth/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const run = promisify(execFile);
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/** Unlocks an empty keychain, and runs the program in the same session. */
const script = `
  printf pw | gnome-keyring-daemon --unlock --components=secrets > "$HOME/daemon" 2>&1
  "$NODE" --import tsx "$PROGRAM"
  result=$?
  kill "$(sed -n 's/^GNOME_KEYRING_PID=//p' "$HOME/daemon")" 2> /dev/null
  exit $result
`;

it('keeps logins in the keychain of a session', async () => {
  const { stdout } = await run('dbus-run-session', ['--', 'sh', '-c', script], {
    env: {
      ...process.env,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      NODE: process.execPath,
      PROGRAM: fileURLToPath(new URL('keychain-process.ts', import.meta.url)),
    },
    timeout: 25_000,
  });
  expect(stdout).toContain('The keychain works.');
});

it('says so where there is no session', async () => {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', undefined);
  vi.stubEnv('DISPLAY', undefined);
  vi.stubEnv('XDG_RUNTIME_DIR', home);
  await expect(keychainTokenStore({ service: 'a2a-auth-test' }).get('key')).rejects.toMatchObject({
    name: 'ClientError',
    code: 'STORE_UNAVAILABLE',
  });
});
