import { EventEmitter, once } from 'node:events';

import {
  AgentSecurity,
  jwtFromIssuer,
  oauth2ClientCredentials,
  VerifierUnavailable,
  type JwtFromIssuerOptions,
} from '@a2a-auth/server';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT, type JWK } from 'jose';
import { clientCredentialsGrant } from 'openid-client';
import { beforeEach, describe, expect, it } from 'vitest';

import { bearer, listTasks, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  signingKey,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { oauthClient, serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';

closeServersAfterTests();
stopClock();

const DISCOVERY = '/.well-known/openid-configuration';
const KEYS = '/jwks';
const WEEK = 7 * 24 * 3600;

let server: AuthorizationServer;
let key: JWK;

beforeEach(async () => {
  server = await startAuthorizationServer();
  key = await signingKey();
  server.publishKeys([key]);
});

/** Verifies every token every time, so that keys are what is tested. Tokens outlive every test. */
async function keyAgent(options: Partial<JwtFromIssuerOptions> = {}): Promise<OAuthAgent> {
  const agent = await startOAuthAgent((context) =>
    new AgentSecurity(context)
      .addSecurityScheme(
        'service',
        oauth2ClientCredentials({
          tokenUrl: `${server.issuer}/token`,
          scopes: { ask: 'Ask.' },
          verifier: jwtFromIssuer({
            issuer: server.issuer,
            audience: context.resource,
            cache: false,
            ...options,
          }),
        }),
      )
      .addSecurityRequirement({ service: ['ask'] }),
  );
  server.addResource(agent.resource, { accessTokenTTL: WEEK });
  return agent;
}

const statusWith = async (agent: OAuthAgent, token: string) => (await listTasks(agent, bearer(token))).status;

/** Callers who never pause. */
function startLoad(callers: number, call: () => Promise<number>) {
  const statuses: number[] = [];
  const events = new EventEmitter();
  let running = true;
  const finished = Promise.all(
    Array.from({ length: callers }, async () => {
      while (running) {
        statuses.push(await call());
        events.emit('call');
      }
    }),
  );
  // A caller that fails ends the wait for more calls, too.
  finished.catch((error: unknown) => events.emit('error', error));
  return {
    async more(calls: number): Promise<void> {
      const enough = statuses.length + calls;
      while (statuses.length < enough) await once(events, 'call');
    },
    async stop(): Promise<readonly number[]> {
      running = false;
      await finished;
      return statuses;
    },
  };
}

describe('while the signing key is rotated, with the old and the new one published together', () => {
  it('refuses no request, and fetches the keys once for each new key', async () => {
    const agent = await keyAgent();
    const client = await oauthClient(server, 'service');
    const issued: string[] = [];
    const signedBy = new Set<unknown>();
    let turn = 0;
    const load = startLoad(8, async () => {
      const { access_token: token } = await clientCredentialsGrant(client, {
        resource: agent.resource,
        scope: 'ask',
      });
      issued.push(token);
      signedBy.add(decodeProtectedHeader(token).kid);
      // Every other call is by somebody whose token is from before.
      const older = issued[turn++ % issued.length] ?? token;
      return Math.max(await statusWith(agent, token), await statusWith(agent, older));
    });
    await load.more(20);

    const rotations = 3;
    for (let rotation = 0; rotation < rotations; rotation++) {
      const next = await signingKey();
      server.publishKeys([key, next]);
      await load.more(20);
      server.publishKeys([next, key]);
      await load.more(20);
      key = next;
      // Rotations are further apart than the cool-down between two fetches.
      passTime(30);
    }

    const statuses = await load.stop();
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(signedBy.size).toBe(1 + rotations);
    expect(server.calls(KEYS)).toBe(1 + rotations);
    expect(server.calls(DISCOVERY)).toBeLessThanOrEqual(2);
  });

  it('stops trusting a key that was withdrawn, once the keys are no longer fresh', async () => {
    const agent = await keyAgent({ keys: { maxAge: 60 } });
    const token = await serviceToken(server, agent.resource);
    expect(await statusWith(agent, token)).toBe(200);
    server.publishKeys([await signingKey()]);
    passTime(59);
    expect(await statusWith(agent, token)).toBe(200);
    passTime(1);
    // The keys are fetched in the background, so that nobody has to wait for them.
    let status = 200;
    for (let call = 0; call < 100 && status === 200; call++) status = await statusWith(agent, token);
    expect(status).toBe(401);
    expect(server.calls(KEYS)).toBeLessThanOrEqual(3);
  });
});

describe('the keys are fetched', () => {
  it('once for concurrent first requests', async () => {
    const agent = await keyAgent();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => serviceToken(server, agent.resource)));
    const discoveries = server.calls(DISCOVERY);
    const release = server.hold(KEYS);
    const calls = tokens.map((token) => statusWith(agent, token));
    await agent.received(tokens.length);
    release();
    expect(await Promise.all(calls)).toEqual(Array(tokens.length).fill(200));
    expect(server.calls(KEYS)).toBe(1);
    expect(server.calls(DISCOVERY)).toBe(discoveries + 1);
  });

  it('at most once a cool-down, however many unknown keys are named', async () => {
    const agent = await keyAgent({ keys: { cooldown: 10 } });
    const token = await serviceToken(server, agent.resource);
    const { privateKey } = await generateKeyPair('ES256');
    const forged = (kid: string) =>
      new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid }).sign(privateKey);
    expect(await statusWith(agent, token)).toBe(200);
    expect(server.calls(KEYS)).toBe(1);

    for (let round = 1; round <= 2; round++) {
      const tokens = await Promise.all(
        Array.from({ length: 20 }, (_, kid) => forged(`${String(round)}-${String(kid)}`)),
      );
      const statuses = await Promise.all(tokens.map((one) => statusWith(agent, one)));
      expect(statuses).toEqual(Array(20).fill(401));
      expect(server.calls(KEYS)).toBe(1 + round);
      expect(await statusWith(agent, token)).toBe(200);
      passTime(10);
    }
  });

  it('ahead of traffic by warmUp()', async () => {
    const agent = await keyAgent();
    const token = await serviceToken(server, agent.resource);
    await agent.security.warmUp();
    expect(server.calls(KEYS)).toBe(1);
    server.setDown(true);
    expect(await statusWith(agent, token)).toBe(200);
  });
});

describe('while the authorization server is down', () => {
  it('the keys that are known go on proving tokens, and an unknown one is no answer instead of a refusal', async () => {
    const agent = await keyAgent();
    const ofOldKey = await serviceToken(server, agent.resource);
    const unseen = await serviceToken(server, agent.resource);
    expect(await statusWith(agent, ofOldKey)).toBe(200);
    server.publishKeys([await signingKey(), key]);
    const ofNewKey = await serviceToken(server, agent.resource);
    server.setDown(true);

    for (let call = 0; call < 5; call++) {
      const answer = await listTasks(agent, bearer(ofNewKey));
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('30');
      expect(answer.challenge).toBeNull();
      expect(await statusWith(agent, call % 2 === 0 ? ofOldKey : unseen)).toBe(200);
    }
    // The first one, and one in vain.
    expect(server.calls(KEYS)).toBe(2);

    server.setDown(false);
    expect(await statusWith(agent, ofNewKey)).toBe(503);
    passTime(30);
    expect(await statusWith(agent, ofNewKey)).toBe(200);
    expect(server.calls(KEYS)).toBe(3);
  });

  it('keys that do not come are given up in time', async () => {
    const agent = await keyAgent({ keys: { timeout: 1_000 } });
    const token = await serviceToken(server, agent.resource);
    const release = server.hold(KEYS);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('30');
    release();
  });

  it('the keys that are known go on for as long as was said, and no longer', async () => {
    const agent = await keyAgent({ keys: { maxAge: 60, maxStale: 600, cooldown: 10 } });
    const token = await serviceToken(server, agent.resource);
    expect(await statusWith(agent, token)).toBe(200);
    server.setDown(true);
    passTime(599);
    expect(await statusWith(agent, token)).toBe(200);
    passTime(1);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');

    server.setDown(false);
    passTime(10);
    expect(await statusWith(agent, token)).toBe(200);
  });

  it('warmUp() says so, and the agent serves as soon as it is back', async () => {
    const agent = await keyAgent();
    const token = await serviceToken(server, agent.resource);
    server.setDown(true);
    await expect(agent.security.warmUp()).rejects.toThrow(VerifierUnavailable);
    expect(await statusWith(agent, token)).toBe(503);
    server.setDown(false);
    passTime(30);
    expect(await statusWith(agent, token)).toBe(200);
  });
});
