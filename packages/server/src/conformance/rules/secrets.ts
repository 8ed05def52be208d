import type { AuthRequest } from '../../auth-request.js';
import { changedRequest, conformanceRequest } from '../request.js';
import { garbageFor } from '../garbage.js';
import {
  answerOf,
  authSchemeOf,
  declaredPlace,
  extract,
  lookUpsOf,
  requestOf,
  secretsOf,
  securityOf,
  startTrial,
  textsIn,
  type Trial,
} from '../trial.js';
import { violation } from '../violation.js';
import { challengesFor } from './challenge.js';
import type { Rule } from './rule.js';

/** Of a long secret, a part of this many characters is as telling as the whole. */
const TELLING = 16;

export const secretRules: readonly Rule[] = [
  {
    title: 'no answer of verify() holds a secret',
    async check(trial) {
      for (const [which, request] of await requestsOf(trial)) {
        const secrets = secretsOf(trial, request);
        const extraction = extract(trial, request);
        if (!extraction.found) continue;
        let answer: unknown;
        try {
          answer = await answerOf(trial, extraction.credential, request);
        } catch (error) {
          answer = error;
        }
        assertSilent(answer, secrets, `What verify() answered to the ${which} credential`);
      }
    },
  },
  {
    title: 'what verify() throws when it cannot tell holds no secret',
    needs: 'unavailable',
    async check({ fixture }) {
      const { unavailable } = fixture;
      if (unavailable === undefined) return;
      const trial = await startTrial(fixture, unavailable.create);
      const request = await requestOf(unavailable.request);
      const extraction = extract(trial, request);
      if (!extraction.found) return;
      const secrets = secretsOf(trial, request);
      try {
        await answerOf(trial, extraction.credential, request);
      } catch (error) {
        assertSilent(error, secrets, 'What verify() threw');
      }
    },
  },
  {
    title: 'no MalformedCredential holds what was sent',
    async check(trial) {
      const own = (await trial.fixture.malformed?.()) ?? [];
      const place = declaredPlace(trial);
      const marked = place === undefined || place.kind === 'client certificate' ? [] : markedRequests(trial);
      for (const request of [...own, ...marked, ...garbageFor(trial).map(([, garbage]) => garbage)]) {
        const extraction = extract(trial, request);
        if (extraction.found || extraction.malformed === undefined) continue;
        const sent =
          place === undefined || place.kind === 'client certificate' ? [] : request[place.kind](place.name);
        const secrets = sent.map((value) => value.replace(/^\S+ +/, '')).filter(({ length }) => length >= 8);
        assertSilent(extraction.malformed, secrets, 'The MalformedCredential of extract()');
      }
    },
  },
  {
    title: 'neither the declaration nor a challenge holds a secret',
    async check(trial) {
      for (const [which, request] of await requestsOf(trial)) {
        const secrets = secretsOf(trial, request);
        const extraction = extract(trial, request);
        if (!extraction.found) continue;
        await Promise.resolve()
          .then(() => answerOf(trial, extraction.credential, request))
          .catch(() => undefined);
        assertSilent(trial.scheme.declaration, secrets, `After the ${which} credential, the declaration`);
        assertSilent(challengesFor(trial), secrets, `After the ${which} credential, a challenge`);
      }
    },
  },
  {
    title: 'the executor sees no header with a secret',
    async check(trial) {
      const request = await requestOf(trial.fixture.good);
      const secrets = secretsOf(trial, request);
      if (secrets.length === 0) return;
      const { secretHeaders } = securityOf(trial);
      for (const { place, name } of lookUpsOf(trial, request)) {
        if (place !== 'header' || secretHeaders.has(name)) continue;
        const holdsSecret = request
          .header(name)
          .some((value) => secrets.some((secret) => value.includes(secret)));
        if (!holdsSecret && !isNeeded(trial, request, name)) continue;
        throw violation(
          `extract() reads the credential from the header "${name}", which would reach the executor and whatever it logs.`,
          `Name it in secretHeaders: ['${name}'], or in the declaration. If it is no secret, say so with \`secrets\` in the fixture.`,
        );
      }
    },
  },
];

async function requestsOf({ fixture }: Trial): Promise<readonly (readonly [string, AuthRequest])[]> {
  return [
    ['good', await requestOf(fixture.good)],
    ['bad', await requestOf(fixture.bad)],
    ...(await Promise.all(
      Object.entries(fixture.refused ?? {}).map(
        async ([reason, make]) => [reason, await requestOf(make)] as const,
      ),
    )),
  ];
}

/** Requests whose declared place holds a text that can be found again, in forms that may be malformed. */
function markedRequests(trial: Trial): readonly AuthRequest[] {
  const place = declaredPlace(trial);
  if (place === undefined || place.kind === 'client certificate') return [];
  const { kind, name } = place;
  const authScheme = authSchemeOf(trial);
  return ['conformance secret', 'conformance\u0000secret', 'conformance,"secret"'].map((text) =>
    conformanceRequest({ [kind]: { [name]: authScheme === undefined ? text : `${authScheme} ${text}` } }),
  );
}

function isNeeded(trial: Trial, request: AuthRequest, header: string): boolean {
  const without = changedRequest(request, (place, name, values) =>
    place === 'header' && name === header ? [] : values,
  );
  return !extract(trial, without).found;
}

/** @throws when one of the secrets is in a value: as it is, in a usual encoding, or a telling part of it */
function assertSilent(value: unknown, secrets: readonly string[], what: string): void {
  const said = textsIn(value);
  for (const secret of secrets) {
    if (!said.some((text) => tells(text, secret))) continue;
    throw violation(
      `${what} holds the credential, or a part of it.`,
      'Leave it out, or name it by a keyed hash. If that part is no secret, say so with `secrets` in the fixture.',
    );
  }
}

function tells(text: string, secret: string): boolean {
  const bytes = Buffer.from(secret);
  const forms = [
    secret,
    ...(['base64', 'base64url', 'hex'] as const).map((encoding) => bytes.toString(encoding)),
  ];
  if (forms.some((form) => text.includes(form))) return true;
  if (text.length < TELLING) return false;
  for (let start = 0; start + TELLING <= secret.length; start += 1) {
    if (text.includes(secret.slice(start, start + TELLING))) return true;
  }
  return false;
}
