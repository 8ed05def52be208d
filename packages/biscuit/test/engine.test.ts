import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { createEngine } from '../src/engine.js';
import { issuer } from './support/issuer.js';

const authority = issuer();
const key = Buffer.from(authority.rootKey.slice(8), 'hex');
const signed = { token: Buffer.from(authority.token('user("alice");'), 'base64url'), key };
const query = 'subject($user) <- user($user)';
const limits = { time: 5000, facts: 1000, iterations: 100 };
const tenSeconds = 10_000;

describe('the engine', () => {
  it('answers a thousand at a time, each its own', async () => {
    const engine = createEngine();
    const names = Array.from({ length: 1000 }, (_, index) => `caller-${String(index)}`);
    const found = await Promise.all(
      names.map((name) => {
        const token = Buffer.from(authority.token('user({name});', { name }), 'base64url');
        return engine.ask('subjects', { token, key, query, limits }, tenSeconds);
      }),
    );
    expect(found).toEqual(names.map((name) => ({ status: 'done', value: [name] })));
  });

  it('turns away whoever would have to wait behind a thousand', async () => {
    const engine = createEngine();
    const asked = Array.from({ length: 1010 }, () => engine.ask('read', signed, tenSeconds));
    const outcomes = await Promise.allSettled(asked);
    const rejected = outcomes.filter(({ status }) => status === 'rejected');
    expect(rejected.length).toBeGreaterThan(0);
    expect(rejected.length).toBeLessThanOrEqual(10);
    expect(rejected[0]).toMatchObject({ reason: { name: 'EngineUnavailable' } });
  });

  it('goes on with who waits after it had to end a thread', async () => {
    const engine = createEngine();
    const facts = Array.from({ length: 40 }, (_, index) => `a(${String(index)});`).join(' ');
    const terms = Array.from({ length: 12 }, (_, index) => `a($v${String(index)})`).join(', ');
    const endless = Buffer.from(authority.token(`${facts} user($v0) <- ${terms}, $v0 == -1;`), 'base64url');
    const [first, ...others] = await Promise.all([
      engine.ask('subjects', { token: endless, key, query, limits }, 100),
      ...Array.from({ length: 5 }, () => engine.ask('subjects', { ...signed, query, limits }, tenSeconds)),
    ]);
    expect(first).toEqual({ status: 'refused', detail: 'The evaluation was ended after 100 ms.' });
    expect(others).toEqual(others.map(() => ({ status: 'done', value: ['alice'] })));
  });

  it('reads an answer that came in time although its own thread was busy', async () => {
    const engine = createEngine();
    await engine.ask('read', signed, tenSeconds);
    // From here, as from a timer, messages are read before what is to be done immediately.
    await new Promise(setImmediate);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const asked = engine.ask('read', signed, 50);
    // Blocks this thread until the other has answered both: it answers one after the other.
    expect(engine.askNow('read', signed).status).toBe('done');
    vi.advanceTimersByTime(50);
    expect((await asked).status).toBe('done');
  });

  it('is as good as new after a panic at start-up', () => {
    const engine = createEngine();
    const check = { keys: [key], authorizer: 'allow if true', subject: query };
    expect(engine.askNow('check', { ...check, keys: [undefined] as never }).status).toBe('refused');
    expect(engine.askNow('check', check)).toEqual({ status: 'done', value: [] });
  });
});
