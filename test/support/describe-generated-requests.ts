import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { granted } from './credentials.js';
import { generatedRequest } from './generated-request.js';
import { exchange } from './raw-http.js';

/** An agent on a real HTTP server, with the security of `createSecurity`. */
interface GeneratedRequestsAgent {
  readonly port: number;
  readonly restUrl: string;
  readonly executor: { readonly calls: readonly unknown[] };
  readonly taskStore: { readonly saved: number };
}

/** Another seed makes other requests: `A2A_AUTH_SEED=7 npx vitest run generated-requests`. */
const seed = Number(process.env.A2A_AUTH_SEED ?? 1);
const numRuns = 10_000;

/**
 * What an agent makes of requests that are made up.
 *
 * @param behind what the agent is behind
 * @param start starts an agent for the whole file
 */
export function describeGeneratedRequests(
  behind: string,
  start: () => Promise<GeneratedRequestsAgent>,
): void {
  let agent: GeneratedRequestsAgent;
  beforeAll(async () => {
    agent = await start();
  });

  describe(`of ${String(numRuns)} generated requests to ${behind}`, () => {
    it(
      'each gets an answer that is no server error, and none gets in without a good credential',
      { timeout: 180_000 },
      async () => {
        const seen = { granted: 0, tasks: 0, refused: 0 };
        await fc.assert(
          fc.asyncProperty(generatedRequest, async ({ authenticated, request }) => {
            const executions = agent.executor.calls.length;
            const saved = agent.taskStore.saved;
            const { status, body } = await exchange(agent.port, request);

            expect(status).toBeGreaterThanOrEqual(200);
            // Only a verifier that says so is a reason for 503.
            const unavailable = request.headers?.some(([, value]) => value === 'Bearer unavailable') === true;
            if (!(unavailable && status === 503)) expect(status).toBeLessThan(500);
            if (authenticated) {
              if (status < 300) seen.granted++;
              return;
            }
            expect(agent.executor.calls).toHaveLength(executions);
            expect(agent.taskStore.saved).toBe(saved);
            if (status < 300) {
              if (request.method !== 'HEAD') expect(body).toMatch(/auth-required|TASK_STATE_AUTH_REQUIRED/);
              seen.tasks++;
            } else {
              seen.refused++;
            }
          }),
          { seed, numRuns, endOnFailure: false },
        );

        // The generator does reach every kind of answer.
        expect(Math.min(...Object.values(seen))).toBeGreaterThan(numRuns / 50);
        const response = await fetch(`${agent.restUrl}/tasks`, {
          headers: { 'A2A-Version': '1.0', ...granted.partner },
        });
        expect(response.status).toBe(200);
      },
    );
  });
}
