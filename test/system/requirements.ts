/** A program of the operating system that some tests need. */
export interface Program {
  /** The name of the command as it is found on PATH. */
  readonly command: string;
  /** The Debian package it comes in, for the CI run. */
  readonly apt: string;
}

/** A test suite in this folder, with all the programs without which it cannot run. */
export interface SystemSuite {
  /** Its path from the root of the repository, such as `test/system/proxy.test.ts`. */
  readonly file: string;
  readonly programs: readonly Program[];
}

/** Every suite in this folder has to be listed here; `npm test` fails over one that is not. */
export const systemSuiteRequirements: readonly SystemSuite[] = [
  { file: 'test/system/device-page.test.ts', programs: [{ command: 'chromium', apt: 'chromium' }] },
  { file: 'test/system/client-login.test.ts', programs: [{ command: 'chromium', apt: 'chromium' }] },
  {
    file: 'test/system/keychain.test.ts',
    programs: [
      { command: 'gnome-keyring-daemon', apt: 'gnome-keyring' },
      { command: 'dbus-run-session', apt: 'dbus' },
      { command: 'dbus-send', apt: 'dbus' },
    ],
  },
  { file: 'test/system/nginx.test.ts', programs: [{ command: 'nginx', apt: 'nginx-light' }] },
];
