import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Reporter } from 'vitest/node';
import { systemSuiteRequirements, type Program, type SystemSuite } from './requirements.js';

const root = join(import.meta.dirname, '../..');

export interface SystemSuites {
  readonly runnable: readonly SystemSuite[];
  readonly leftOut: readonly { readonly suite: SystemSuite; readonly missing: readonly Program[] }[];
}

/**
 * Sorts the suites which need a program of the operating system into those that can run here and those that
 * cannot. With A2A_AUTH_REQUIRE_SYSTEM=1 all of them have to.
 */
export function systemSuites(): SystemSuites {
  const listed = systemSuiteRequirements.map(({ file }) => file);
  const present = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/system/${file.replaceAll('\\', '/')}`);
  const problems = [
    ...present.filter((file) => !listed.includes(file)).map((file) => `${file} is not listed`),
    ...listed.filter((file) => !existsSync(join(root, file))).map((file) => `${file} does not exist`),
  ];
  const all = systemSuiteRequirements.map((suite) => ({
    suite,
    missing: suite.programs.filter((program) => !isInstalled(program)),
  }));
  const leftOut = all.filter(({ missing }) => missing.length > 0);
  if (process.env.A2A_AUTH_REQUIRE_SYSTEM === '1') problems.push(...leftOut.map(describe));
  if (problems.length > 0) throw new Error(`test/system/requirements.ts: ${problems.join('; ')}`);
  return { runnable: all.filter(({ missing }) => missing.length === 0).map(({ suite }) => suite), leftOut };
}

/** Says, after the results, which suites did not run and why. */
export function programReporter({ leftOut }: SystemSuites): Reporter {
  return {
    onTestRunEnd() {
      if (leftOut.length === 0) return;
      console.log(`\n LEFT OUT  suites: ${leftOut.length}, for want of a program on this machine:`);
      for (const one of leftOut) console.log(`   ${describe(one)}`);
      console.log('');
    },
  };
}

/** The programs that are missing here, over all suites. */
export function missingPrograms(): readonly Program[] {
  const all = systemSuiteRequirements.flatMap(({ programs }) => programs);
  return all.filter((program) => !isInstalled(program));
}

function describe({ suite, missing }: SystemSuites['leftOut'][number]): string {
  return `${suite.file} needs ${missing.map(({ command }) => command).join(' and ')}, which is not installed`;
}

function isInstalled({ command }: Program): boolean {
  return findProgram(command) !== undefined;
}

/** Where a command is on PATH. */
export function findProgram(command: string): string | undefined {
  const places = (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, command));
  return places.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
}
