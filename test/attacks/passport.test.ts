import { createHash } from 'node:crypto';

import { AgentSecurity, type DecisionEvent, type PresentedCertificate } from '@a2a-auth/server';
import { passportScheme, type PassportDeclaration } from '@a2a-auth/passport';
import { describe, expect, it } from 'vitest';

import { strategyThat, type Actions } from '../../packages/passport/test/support/strategy.js';
import { authRequest } from '../../packages/server/test/support/auth-request.js';

const BEARER = { type: 'http', scheme: 'Bearer' } as const;
const KEY = { type: 'apiKey', in: 'header', name: 'X-Token' } as const;

/** What an agent decides whose only scheme is a strategy that does this, and what it tells of it. */
async function decide(
  act: (actions: Actions) => unknown,
  declaration: PassportDeclaration = BEARER,
  clientCertificate?: PresentedCertificate,
  credential = 'token-0123456789-abcdef',
) {
  const events: DecisionEvent[] = [];
  const security = new AgentSecurity({ onDecision: (event) => events.push(event) })
    .addSecurityScheme('it', passportScheme(strategyThat(act), declaration))
    .addSecurityRequirement({ it: [] });
  const header =
    declaration.type === 'apiKey'
      ? { 'x-token': credential }
      : { authorization: `${declaration.type === 'http' ? declaration.scheme : 'Bearer'} ${credential}` };
  const provisional = await security.authenticate(
    authRequest({ header, ...(clientCertificate === undefined ? {} : { clientCertificate }) }),
  );
  const decision = await security.conclude(provisional, { operation: 'GetTask', binding: 'JSONRPC' });
  return { decision, event: events[0] };
}

describe('a token that is bound to a certificate, whose claims a strategy gives as the user', () => {
  const der = new TextEncoder().encode('of the owner');
  const cnf = { 'x5t#S256': createHash('sha256').update(der).digest('base64url') };
  const places = {
    user: (actions: Actions) => {
      actions.success({ sub: 'ada', iss: 'https://issuer.example', cnf });
    },
    info: (actions: Actions) => {
      actions.success({ id: 'ada' }, { scope: 'ask', cnf });
    },
  };

  describe.each(Object.entries(places))('in the %s', (_place, succeed) => {
    it('is for its owner', async () => {
      expect((await decide(succeed, BEARER, { der })).decision.granted).toBe(true);
    });

    it.each([
      ['without a certificate', undefined],
      ['with another one', { der: new TextEncoder().encode('of a thief') }],
    ])('is not for a thief %s', async (_what, certificate) => {
      expect((await decide(succeed, BEARER, certificate)).decision).toMatchObject({
        granted: false,
        reason: 'invalid_credential',
      });
    });

    it('is for nobody where nobody holds it to its certificate', async () => {
      const { decision, event } = await decide(succeed, KEY, { der });
      expect(decision.granted).toBe(false);
      expect(event?.schemes[0]?.detail).toMatch(/bound to its sender/);
    });
  });

  it('is for nobody where it is bound to something unknown', async () => {
    const odd = (actions: Actions) => {
      actions.success({ sub: 'ada', cnf: 'x' });
    };
    expect((await decide(odd)).decision.granted).toBe(false);
  });
});

describe('a password', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('no "hunter2:x" here');
      },
    ],
    [
      'fails',
      (actions: Actions) => {
        actions.fail('Basic realm="hunter2:x"');
      },
    ],
    [
      'reports an error',
      (actions: Actions) => {
        actions.error(new Error('hunter2:x is no password'));
      },
    ],
  ])('is not in the audit event of a strategy that %s', async (_, act) => {
    const credential = Buffer.from('ada:hunter2:x').toString('base64');
    const basic = { type: 'http', scheme: 'Basic' } as const;
    const { event } = await decide(act, basic, undefined, credential);
    expect(JSON.stringify(event)).not.toContain('hunter2');
    expect(event?.schemes[0]?.detail).toContain('[credential]');
  });
});
