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

/** Programs start slowly on a busy machine. */
vi.setConfig({ testTimeout: 60_000 });

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  // The keychain may still be ending.
  await rm(home, { recursive: true, maxRetries: 5 });
});

/**
 * Runs shell commands in a session with a keychain that is empty and unlocked. Among them: `program`, and `lock` and
 * `unlock` of the keychain, which wait until it is so: a keychain that is replaced may still answer for a moment. They
 * have no display, so that nobody is asked, and nothing of the session around them.
 */
async function inSession(commands: string): Promise<void> {
  const script = `
    ask_keychain() { dbus-send --session --print-reply=literal --dest=org.freedesktop.secrets "$@"; }
    until_locked_is() {
      until ask_keychain /org/freedesktop/secrets/collection/login org.freedesktop.DBus.Properties.Get \\
        string:org.freedesktop.Secret.Collection string:Locked | grep -q "boolean $1"; do sleep 0.1; done
    }
    unlock() {
      printf pw | gnome-keyring-daemon --replace --unlock --components=secrets > /dev/null 2>&1
      until_locked_is false
    }
    lock() {
      ask_keychain /org/freedesktop/secrets org.freedesktop.Secret.Service.Lock \\
        array:objpath:/org/freedesktop/secrets/collection/login > /dev/null
      until_locked_is true
    }
    program() { "$NODE" --import tsx "$PROGRAM" "$@"; }
    unlock
    ${commands}
  `;
  await run('dbus-run-session', ['--', 'sh', '-e', '-c', script], {
    env: {
      ...process.env,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      XDG_DATA_HOME: undefined,
      DISPLAY: undefined,
      WAYLAND_DISPLAY: undefined,
      GNOME_KEYRING_CONTROL: undefined,
      NODE: process.execPath,
      PROGRAM: fileURLToPath(new URL('keychain-process.ts', import.meta.url)),
    },
    timeout: 55_000,
  });
}

it('keeps logins for the keychain of a session', async () => {
  await inSession('program use');
});

it('loses no login of those who start at the same time', async () => {
  await inSession(`
    program keep one two & first=$!
    program keep three four
    wait $first
    program find one two three four
  `);
});

it('says so where the keychain is locked, and loses no login', async () => {
  await inSession(`
    program keep login
    lock
    program find-it-locked login
    unlock
    program find login
  `);
});

it('says so where there is no session', async () => {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', undefined);
  vi.stubEnv('DISPLAY', undefined);
  vi.stubEnv('HOME', home);
  vi.stubEnv('XDG_DATA_HOME', undefined);
  vi.stubEnv('XDG_RUNTIME_DIR', home);
  await expect(keychainTokenStore({ service: 'a2a-auth-test' }).get('key')).rejects.toMatchObject({
    name: 'ClientError',
    code: 'STORE_UNAVAILABLE',
  });
});
