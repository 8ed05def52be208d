import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Program } from './support/program.js';

const main = join(import.meta.dirname, '../examples/mtls-biscuit/dist/main.js');

describe('the example of mutual TLS with biscuits', () => {
  let program: Program;
  let code: number | null;
  beforeAll(async () => {
    program = new Program([main], { PORT: '0' });
    code = await program.ends();
  });
  afterAll(() => program.stop());

  /** What it says of one client. */
  const section = (title: string): string => {
    const sections = program.stdout.split('\n\n');
    return sections.find((text) => text.startsWith(`With ${title}:\n`)) ?? '';
  };

  it('ends well, and says nothing besides', () => {
    expect(program.stderr).toBe('');
    expect(code).toBe(0);
  });

  it('has no connection for a client without a certificate', () => {
    expect(section('no certificate')).toMatch(/\n {2}The connection failed: /);
    expect(section('no certificate')).not.toContain('audit event');
  });

  it('tells a client with a certificate alone that the biscuit lacks, and knows who it was', () => {
    const said = section('a certificate, and no biscuit');
    expect(said).toMatch(/SendMessage: TASK_STATE_AUTH_REQUIRED: /);
    expect(said).toMatch(/the challenge: Bearer realm="a2a"/);
    expect(said).toMatch(
      /missing_credential; mtls verified, x509:[0-9a-f]{64}\/cn\|orchestrator; biscuit absent/,
    );
  });

  it('tells a client whose biscuit is for reading that it is insufficient', () => {
    const said = section('a certificate, and a biscuit for reading');
    expect(said).toMatch(/SendMessage: TASK_STATE_AUTH_REQUIRED: .* do not permit this operation\./);
    expect(said).toMatch(/the challenge: Bearer realm="a2a", error="insufficient_scope"/);
    expect(said).toMatch(
      /not_permitted; mtls verified, .*; biscuit refused, .*\|ada, No policy allows the call\./,
    );
  });

  it('lets the delegated biscuit do what is left of it, and no more', () => {
    const said = section('a certificate, and the biscuit that was delegated to it');
    expect(said).toMatch(/SendMessage: You are orchestrator \(mtls\) and ada \(biscuit\)\./);
    expect(said).toMatch(/CancelTask: .* do not permit this operation\./);
    expect(said).toMatch(/A check of block 1 failed: "check if operation/);
  });

  it('lets nobody else use the delegated biscuit', () => {
    const said = section('the same biscuit with the certificate of somebody else');
    expect(said).toMatch(/SendMessage: TASK_STATE_AUTH_REQUIRED: /);
    expect(said).toMatch(/A check of block 1 failed: "check if peer_subject/);
  });
});

describe('the example of mutual TLS with biscuits, serving', () => {
  let program: Program | undefined;
  afterEach(() => program?.stop());

  it('serves until SIGTERM, and leaves no key behind', async () => {
    program = new Program([main, '--serve'], { PORT: '0' });
    const [, key = ''] = await program.prints(/ --key (\S+) /);
    expect(existsSync(key)).toBe(true);
    program.child.kill('SIGTERM');
    expect(await program.ends()).toBe(0);
    expect(existsSync(dirname(key))).toBe(false);
  });
});
