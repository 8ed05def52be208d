import { createHmac, timingSafeEqual } from 'node:crypto';

import { MalformedCredential, type SecurityScheme } from '@a2a-auth/server';

const HEADER = 'X-Signature';
const FORMAT = /^([A-Za-z0-9-]{1,64})\.(\d{10})\.([0-9a-f]{64})$/;

/** Callers prove that they hold a shared secret without sending it: they sign the time, for one agent. */
export function signedCall(agentUrl: string, secrets: ReadonlyMap<string, Buffer>): SecurityScheme<string[]> {
  if (secrets.size === 0 || [...secrets.values()].some((secret) => secret.byteLength < 32)) {
    throw new RangeError('signedCall needs at least one secret, each of at least 32 random bytes.');
  }
  return {
    declaration: { type: 'apiKey', in: 'header', name: HEADER, description: 'key id.seconds.signature' },
    scopes: [],
    extract(request) {
      const [value, ...more] = request.header(HEADER);
      if (value === undefined) return undefined;
      const parts = FORMAT.exec(value)?.slice(1);
      if (parts === undefined || more.length > 0) {
        throw new MalformedCredential(`${HEADER} is not a single "key id.seconds.signature".`);
      }
      return parts;
    },
    verify([keyId = '', seconds = '', signature = '']) {
      const secret = secrets.get(keyId);
      if (
        !secret ||
        !timingSafeEqual(sign(`${keyId}.${seconds}`, agentUrl, secret), Buffer.from(signature, 'hex'))
      ) {
        return { verified: false, reason: 'invalid', detail: 'The key is unknown, or did not sign this.' };
      }
      const principal = { subject: keyId };
      if (Math.abs(Date.now() / 1000 - Number(seconds)) > 60) {
        return { verified: false, reason: 'expired', detail: 'It was signed at another time.', principal };
      }
      return { verified: true, principal };
    },
  };
}

/** What a caller puts into the header. */
export function signCall(keyId: string, secret: Buffer, agentUrl: string): string {
  const signed = `${keyId}.${Math.floor(Date.now() / 1000)}`;
  return `${signed}.${sign(signed, agentUrl, secret).toString('hex')}`;
}

function sign(signed: string, agentUrl: string, secret: Buffer): Buffer {
  return createHmac('sha256', secret).update(`${signed}.${agentUrl}`).digest();
}
