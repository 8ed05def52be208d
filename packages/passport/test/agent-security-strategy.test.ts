import { randomBytes } from 'node:crypto';

import {
  AgentSecurity,
  apiKey,
  ConfigurationError,
  httpBearer,
  TooManyAttempts,
  VerifierUnavailable,
  type DecisionEvent,
  type Operation,
  type Principal,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentSecurityStrategy, type RouteGrant } from '@a2a-auth/passport';
import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import passport from 'passport';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import request from 'supertest';
import { describe, expect, it, vi } from 'vitest';

import { agentCard, createAgent } from '../../../test/support/agent.js';
import { muteConsole } from '../../../test/support/quiet.js';

muteConsole();

const KEY = `key-${randomBytes(16).toString('hex')}`;
const LESSER = `key-${randomBytes(16).toString('hex')}`;
const keys = apiKey({
  in: 'header',
  name: 'X-API-Key',
  keys: [
    { key: KEY, id: 'k1', owner: 'partner', scopes: ['read'] },
    { key: LESSER, id: 'k2', owner: 'guest' },
  ],
});

const withKey = (scopes: string[] = []) =>
  new AgentSecurity<string>().addSecurityScheme('key', keys).addSecurityRequirement({ key: scopes });

/** A bearer scheme whose verifier answers as told. */
const answering = (verify: () => Verification | Promise<Verification>) =>
  new AgentSecurity<string>()
    .addSecurityScheme('token', httpBearer({ verifier: { verify } }))
    .addSecurityRequirement({ token: [] });

const whoAmI: RequestHandler = (req, res) => {
  const { scope, principals } = req.authInfo as RouteGrant;
  const { id } = req.user as Principal;
  res.json({ id, scope, principals: [...principals.keys()] });
};

const asJson: ErrorRequestHandler = (error: Error & { status?: number }, _req, res, _next) => {
  res.status(error.status ?? 500).json({ error: error.message });
};

function appWith(security: AgentSecurity<string>, names: string | string[] = 'a2a', handler = whoAmI) {
  const authenticator = new passport.Passport();
  authenticator.use(agentSecurityStrategy(security));
  const app = express();
  app.get('/reports', authenticator.authenticate(names, { session: false }) as RequestHandler, handler);
  return { app, authenticator };
}

describe('agentSecurityStrategy()', () => {
  it('lets a caller of the agent through to another route', async () => {
    const response = await request(appWith(withKey()).app).get('/reports').set('X-API-Key', KEY).expect(200);
    expect(response.body).toEqual({ id: 'scheme:key|partner', scope: ['read'], principals: ['key'] });
  });

  it('gives the route a frozen principal without the credential', async () => {
    let user: unknown;
    const { app } = appWith(withKey(), 'a2a', (req, res) => {
      user = req.user;
      res.json([req.user, req.authInfo]);
    });
    const { text } = await request(app).get('/reports').set('X-API-Key', KEY).expect(200);
    expect(Object.isFrozen(user)).toBe(true);
    expect(text).not.toContain(KEY);
  });

  it.each([
    ['without a credential', undefined],
    ['with a wrong one', 'wrong-key'],
  ])('answers a caller %s by 401 and the challenge', async (_, key) => {
    const response = await request(appWith(withKey()).app)
      .get('/reports')
      .set(key === undefined ? {} : { 'X-API-Key': key })
      .expect(401);
    expect(response.headers['www-authenticate']).toBe('ApiKey realm="a2a", in="header", name="X-API-Key"');
  });

  it('names every challenge', async () => {
    const security = withKey()
      .addSecurityScheme('token', httpBearer({ validator: () => undefined }))
      .addSecurityRequirement({ token: [] });
    const response = await request(appWith(security).app).get('/reports').expect(401);
    expect(response.headers['www-authenticate']).toBe(
      'ApiKey realm="a2a", in="header", name="X-API-Key", Bearer realm="a2a"',
    );
  });

  it('answers a repeated credential by 401', async () => {
    await request(appWith(withKey()).app)
      .get('/reports')
      .set('X-API-Key', [KEY, KEY] as unknown as string)
      .expect(401);
  });

  it('answers a caller who lacks a scope by 403', async () => {
    await request(appWith(withKey(['read'])).app)
      .get('/reports')
      .set('X-API-Key', LESSER)
      .expect(403);
  });

  it('answers a credential that is genuine and not permitted by 403', async () => {
    const security = answering(() => ({ verified: false, reason: 'not_permitted', detail: 'No.' }));
    await request(appWith(security).app).get('/reports').set('Authorization', 'Bearer abc').expect(403);
  });

  it.each([
    ['503', new VerifierUnavailable('The provider at 10.0.0.1 is down.', { retryAfter: 2.5 }), 503, '3'],
    ['429', new TooManyAttempts('Ten attempts.', { retryAfter: 60 }), 429, '60'],
  ])('answers by %s and Retry-After when it cannot tell', async (_, error, status, retryAfter) => {
    const response = await request(appWith(answering(() => Promise.reject(error))).app)
      .get('/reports')
      .set('Authorization', 'Bearer abc')
      .expect(status);
    expect(response.headers['retry-after']).toBe(retryAfter);
    expect(response.text).not.toContain(error.message);
  });

  it('never takes a verifier that hangs for a yes', async () => {
    const security = new AgentSecurity<string>({ verificationTimeout: 20 })
      .addSecurityScheme('token', httpBearer({ verifier: { verify: () => new Promise(() => undefined) } }))
      .addSecurityRequirement({ token: [] });
    await request(appWith(security).app).get('/reports').set('Authorization', 'Bearer abc').expect(503);
  });

  it('denies a credential that permits some operations alone, without asking it', async () => {
    const permits = vi.fn((_: { operation: Operation }) => ({ permitted: true }) as const);
    const security = answering(() => ({ verified: true, principal: { subject: 'alice' }, permits }));
    await request(appWith(security).app).get('/reports').set('Authorization', 'Bearer abc').expect(403);
    expect(permits).not.toHaveBeenCalled();
  });

  it('takes another alternative of the same caller, where that permits everything', async () => {
    const conditional: SecurityScheme<string> = {
      extract: (req) => req.header('x-api-key')[0],
      verify: () => ({ verified: true, principal: { subject: 'a' }, permits: () => ({ permitted: true }) }),
    };
    const security = new AgentSecurity<string>()
      .addSecurityScheme('conditional', conditional)
      .addSecurityScheme('key', keys)
      .addSecurityRequirement({ conditional: [] })
      .addSecurityRequirement({ key: [] });
    const response = await request(appWith(security).app).get('/reports').set('X-API-Key', KEY).expect(200);
    expect(response.body).toMatchObject({ id: 'scheme:key|partner' });
  });

  it.each([
    ['open to everybody', new AgentSecurity<string>({ allowAnonymous: true })],
    ['open besides a key', withKey().addSecurityRequirement({})],
  ])('lets no anonymous caller through to a route, on an agent that is %s', async (_, security) => {
    await request(appWith(security).app).get('/reports').expect(401);
  });

  it('is reported as a decision, without an operation', async () => {
    const events: DecisionEvent[] = [];
    const security = new AgentSecurity<string>({ onDecision: (event) => events.push(event) })
      .addSecurityScheme('key', keys)
      .addSecurityRequirement({ key: [] });
    const { app } = appWith(security);
    await request(app).get('/reports').set('X-API-Key', KEY).expect(200);
    await request(app).get('/reports').expect(401);
    expect(events).toMatchObject([
      { operation: 'unknown', binding: 'HTTP', granted: true, principalId: 'scheme:key|partner' },
      { operation: 'unknown', binding: 'HTTP', granted: false, reason: 'missing_credential' },
    ]);
  });

  it('sends the further headers of a challenge', async () => {
    const scheme: SecurityScheme<string> = {
      declaration: { type: 'http', scheme: 'Key' },
      extract: () => undefined,
      verify: () => ({ verified: false, reason: 'invalid', detail: 'No.' }),
      challenge: ({ realm }) => ({ scheme: 'Key', params: { realm }, headers: { 'x-nonce': 'n' } }),
    };
    const security = new AgentSecurity<string>()
      .addSecurityScheme('it', scheme)
      .addSecurityRequirement({ it: [] });
    const response = await request(appWith(security).app).get('/reports').expect(401);
    expect(response.headers['x-nonce']).toBe('n');
  });

  it('starts no header by what a scheme phrases', async () => {
    const scheme: SecurityScheme<string> = {
      declaration: { type: 'http', scheme: 'Key' },
      extract: () => undefined,
      verify: () => ({ verified: false, reason: 'invalid', detail: 'No.' }),
      challenge: () => ({ scheme: 'Key', params: { realm: 'a"\r\nSet-Cookie: b=c' } }),
    };
    const security = new AgentSecurity<string>()
      .addSecurityScheme('it', scheme)
      .addSecurityRequirement({ it: [] });
    const response = await request(appWith(security).app).get('/reports').expect(401);
    expect(response.headers['set-cookie']).toBeUndefined();
    expect(response.headers['www-authenticate']).toBe(String.raw`Key realm="a\"Set-Cookie: b=c"`);
  });

  it('refuses to log a caller into a session', async () => {
    const authenticator = new passport.Passport();
    authenticator.use(agentSecurityStrategy(withKey()));
    const app = express();
    const logIn = vi.fn();
    app.use((req, _res, next) => {
      req.logIn = logIn;
      next();
    });
    app.get('/reports', authenticator.authenticate('a2a') as RequestHandler, whoAmI);
    app.use(asJson);
    const response = await request(app).get('/reports').set('X-API-Key', KEY).expect(500);
    expect(response.body).toEqual({ error: expect.stringContaining('{ session: false }') as string });
    expect(logIn).not.toHaveBeenCalled();
  });

  it('stands beside other strategies', async () => {
    const { app, authenticator } = appWith(withKey(), ['a2a', 'bearer'], (req, res) => {
      res.json(req.user);
    });
    authenticator.use(
      new BearerStrategy((token, done) => {
        done(null, token === 'person' ? { id: 'person' } : false);
      }),
    );
    await request(app).get('/reports').set('X-API-Key', KEY).expect(200);
    const person = await request(app).get('/reports').set('Authorization', 'Bearer person').expect(200);
    expect(person.body).toEqual({ id: 'person' });
    const response = await request(app).get('/reports').expect(401);
    expect(response.headers['www-authenticate']).toContain('ApiKey realm="a2a"');
    expect(response.headers['www-authenticate']).toContain('Bearer realm="Users"');
  });

  it('tells the application when a request cannot be read', async () => {
    const { authenticator } = appWith(withKey());
    const app = express();
    app.use((req, _res, next) => {
      Object.defineProperty(req, 'headers', {
        get: () => {
          throw new Error('gone');
        },
      });
      next();
    });
    app.get('/reports', authenticator.authenticate('a2a', { session: false }) as RequestHandler, whoAmI);
    app.use(asJson);
    await request(app).get('/reports').expect(500, { error: 'gone' });
  });

  it('opens nothing at the agent itself', async () => {
    const security = withKey();
    const { executor, requestHandler } = createAgent(agentCard('https://agent.example'));
    const authenticator = new passport.Passport();
    authenticator.use(agentSecurityStrategy(security));
    const app = express();
    app.use(authenticator.authenticate('a2a', { session: false }) as RequestHandler);
    // The key is gone by the time that the agent looks: only what Passport found is left.
    app.use((req, _res, next) => {
      delete req.headers['x-api-key'];
      next();
    });
    app.use(agentRouter({ security, requestHandler: security.protect(requestHandler) }));
    await request(app)
      .post('/a2a/jsonrpc')
      .set('X-API-Key', KEY)
      .send({ jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 't' } })
      .expect(401);
    expect(executor.calls).toEqual([]);
  });

  it('is checked when it is made', () => {
    expect(() => agentSecurityStrategy(new AgentSecurity())).toThrow(ConfigurationError);
  });

  it('keeps concurrent callers apart', async () => {
    const { app } = appWith(withKey());
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        request(app)
          .get('/reports')
          .set('X-API-Key', index % 2 === 0 ? KEY : LESSER),
      ),
    );
    expect(answers.map(({ body }) => (body as { id: string }).id)).toEqual(
      Array.from({ length: 20 }, (_, index) => `scheme:key|${index % 2 === 0 ? 'partner' : 'guest'}`),
    );
  });
});
