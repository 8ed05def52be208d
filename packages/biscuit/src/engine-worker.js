// The thread that runs the biscuit library. JavaScript, as is load.js: a worker thread loads it as it is.
//
// A thread of its own, because the library looks at its time limit only between two rounds of rules: a single rule of a
// hostile token can keep it busy for hours, and a thread can be ended.
import { parentPort } from 'node:worker_threads';

import { load } from './load.js';

/**
 * @typedef {import('./engine-jobs.js').Job} Job
 * @typedef {import('./engine-jobs.js').Signed} Signed
 * @typedef {import('./engine-jobs.js').RunLimits} RunLimits
 * @typedef {import('./engine-jobs.js').RequestFact} RequestFact
 * @typedef {import('./engine-jobs.js').Report} Report
 * @typedef {<T extends { free(): void }>(object: T) => T} Own
 */

// A panic is reported as such; its message may quote the token.
console.error = () => undefined;

const { library, memoryInUse } = await load();
const { Authorizer, Biscuit, Fact, PublicKey, Rule } =
  /** @type {typeof import('@biscuit-auth/biscuit-wasm')} */ (library);

parentPort?.on('message', (/** @type {{ job: Job, sync?: { port: any, signal: Int32Array } }} */ message) => {
  const { job, sync } = message;
  const report = reportOf(job);
  if (sync === undefined) {
    parentPort?.postMessage(report);
    return;
  }
  sync.port.postMessage(report);
  Atomics.store(sync.signal, 0, 1);
  Atomics.notify(sync.signal, 0);
});
parentPort?.postMessage('ready');

/**
 * @param {Job} job
 * @returns {Report}
 */
function reportOf(job) {
  try {
    return {
      answer: { status: 'done', value: withFreed((own) => run(job, own)) },
      panicked: false,
      memory: memoryInUse(),
    };
  } catch (error) {
    // The library throws plain objects for what it refuses. An Error comes from a panic, or from the stack's end.
    const panicked = error instanceof Error;
    const detail = panicked ? 'The biscuit library failed on it.' : describe(error);
    return { answer: { status: 'refused', detail }, panicked, memory: memoryInUse() };
  }
}

/**
 * Frees whatever was owned meanwhile: the library's memory is no business of the garbage collector.
 *
 * @template T
 * @param {(own: Own) => T} work
 */
function withFreed(work) {
  /** @type {{ free(): void }[]} */
  const owned = [];
  try {
    return work((object) => {
      owned.push(object);
      return object;
    });
  } finally {
    for (const object of owned.reverse()) object.free();
  }
}

/**
 * @param {Job} job
 * @param {Own} own
 */
function run(job, own) {
  switch (job.kind) {
    case 'check':
      return problemsOf(job);
    case 'read': {
      const token = parse(job, own);
      return { revocationIds: token.getRevocationIdentifiers(), expiresAt: expiryOf(token) };
    }
    case 'subjects': {
      const authorizer = own(parse(job, own).getAuthorizer());
      const query = own(Rule.fromString(job.query));
      return authorizer.queryWithLimits(query, runLimits(job.limits)).map((fact) => valueOf(own(fact)));
    }
    case 'authorize': {
      const authorizer = own(new Authorizer());
      authorizer.addCode(job.authorizer);
      for (const fact of job.facts) authorizer.addFact(own(factOf(fact)));
      authorizer.addToken(parse(job, own));
      try {
        authorizer.authorizeWithLimits(runLimits(job.limits));
        return { allowed: true };
      } catch (error) {
        if (error instanceof Error) throw error;
        return { allowed: false, detail: describe(error) };
      }
    }
  }
}

/**
 * Parses a token and proves its signatures.
 *
 * @param {Signed} signed
 * @param {Own} own
 */
function parse({ token, key }, own) {
  return own(Biscuit.fromBytes(token, own(PublicKey.fromBytes(key))));
}

/**
 * When a token ends, where one of its blocks says so in the form that tools write; undefined for any other form. The text
 * of a block is printed without escaping, so that a string in it may pose as such a check; then the token ends earlier.
 *
 * @param {import('@biscuit-auth/biscuit-wasm').Biscuit} token
 */
function expiryOf(token) {
  const ends = [];
  for (let block = 0; block < token.countBlocks(); block += 1) {
    // A year above 4999 is as good as none, and more than a principal's expiry may be.
    const checks = token
      .getBlockSource(block)
      .matchAll(/^check if time\(\$(\w+)\), \$\1 (<=?) ([0-4]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ);?$/gm);
    for (const [, , comparison, date] of checks) {
      // Times are whole seconds: a last good second ends with the next one.
      ends.push(Date.parse(String(date)) / 1000 + (comparison === '<=' ? 1 : 0));
    }
  }
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * The only term of a fact. The library prints strings without escaping: a string is whatever stands between the quotes.
 *
 * @param {import('@biscuit-auth/biscuit-wasm').Fact} fact
 */
function valueOf(fact) {
  const [, text, integer] = /^\w+\((?:"(.*)"|(-?\d+))\)$/s.exec(fact.toString()) ?? [];
  const value = text ?? integer;
  if (value === undefined) throw { problem: 'The subject is neither a string nor an integer.' };
  return value;
}

/** @param {RequestFact} fact */
function factOf([name, ...terms]) {
  const fact = Fact.fromString(`${name}(${terms.map((_, index) => `{v${String(index)}}`).join(', ')})`);
  for (const [index, term] of terms.entries()) fact.set(`v${String(index)}`, term);
  return fact;
}

/** @param {RunLimits} limits */
function runLimits({ time, facts, iterations }) {
  return { max_time_micro: time * 1000, max_facts: facts, max_iterations: iterations };
}

/** @param {Job & { kind: 'check' }} job */
function problemsOf({ keys, authorizer, subject }) {
  return [
    ...keys.flatMap((key) =>
      attempt('rootKeys: a key is no point of the curve', () => PublicKey.fromBytes(key)),
    ),
    ...attempt('authorizer is not valid datalog', (own) => {
      const parsed = own(new Authorizer());
      parsed.addCode(authorizer);
      if (!/^allow if /m.test(parsed.toString()))
        throw { problem: 'there is no "allow if", so that every call would be denied' };
      return undefined;
    }),
    ...attempt('subject is not a datalog rule', (own) => {
      const rule = own(Rule.fromString(subject));
      if (rule.unboundParameters().length > 0 || rule.unboundScopeParameters().length > 0)
        throw { problem: 'parameters have no values here' };
      if (!/^\w+\(\$\w+\) <- /.test(rule.toString()))
        throw { problem: 'its head must have exactly one variable' };
      return undefined;
    }),
  ];
}

/**
 * @param {string} what
 * @param {(own: Own) => { free(): void } | undefined} work
 */
function attempt(what, work) {
  try {
    withFreed((own) => {
      const made = work(own);
      if (made !== undefined) own(made);
    });
    return [];
  } catch (error) {
    if (error instanceof Error) throw error;
    return [`${what}: ${describe(error)}`];
  }
}

/**
 * What the library threw, for people. Bounded: a token holds short names for long texts.
 *
 * @param {any} error
 */
function describe(error) {
  const { problem, RunLimit: limit, FailedLogic: failed } = error ?? {};
  if (typeof problem === 'string') return problem;
  if (limit !== undefined) return `The evaluation met a limit: ${String(limit)}.`;
  const { policy, checks = [] } = failed?.Unauthorized ?? failed?.NoMatchingPolicy ?? {};
  if (failed === undefined) return JSON.stringify(error).slice(0, 500);
  const reasons = checks.slice(0, 5).map(describeCheck);
  if (failed.NoMatchingPolicy !== undefined) reasons.unshift('No policy allows the call.');
  if (policy?.Deny !== undefined) reasons.unshift(`The policy ${String(policy.Deny)} denies the call.`);
  return reasons.join(' ');
}

/** @param {any} check */
function describeCheck({ Block: block, Authorizer: own }) {
  const [where, { rule }] =
    block === undefined ? ['the authorizer', own] : [`block ${block.block_id}`, block];
  return `A check of ${where} failed: ${JSON.stringify(rule.slice(0, 200))}.`;
}
