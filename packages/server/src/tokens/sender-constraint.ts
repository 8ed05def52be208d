import { hash } from 'node:crypto';

import type { Verification, VerifyContext } from '../scheme.js';
import type { DpopVerifier } from './dpop.js';

type Verified = Verification & { readonly verified: true };

/**
 * Holds a verified token to what its `cnf` says (RFC 7800): the key of a DPoP proof (RFC 9449 §6), or the client
 * certificate of the connection (RFC 8705 §3). A token that is bound in a way this library does not know is refused:
 * whoever presents it could not be held to it.
 */
export async function holdToSender(
  verified: Verified,
  token: string,
  presentedAs: 'Bearer' | 'DPoP',
  { request, resource }: VerifyContext,
  dpop: DpopVerifier | undefined,
): Promise<Verification> {
  const { principal } = verified;
  const cnf = principal.claims?.cnf;
  const refuse = (detail: string, error?: string): Verification => ({
    verified: false,
    reason: 'invalid',
    detail,
    principal,
    error,
  });

  const binding = typeof cnf === 'object' && cnf !== null ? (cnf as Record<string, unknown>) : {};
  const { jkt, 'x5t#S256': thumbprint } = binding;
  const known = [jkt, thumbprint].filter((value) => value !== undefined);
  const isSupported = known.length > 0 && known.every((value) => typeof value === 'string');
  if (cnf !== undefined && cnf !== null && !isSupported) {
    return refuse('The token is bound to its sender in a way that is not supported.');
  }
  if (typeof thumbprint === 'string') {
    const certificate = request.clientCertificate;
    if (certificate === undefined) {
      return refuse('The token is bound to a client certificate, and the connection has none.');
    }
    if (hash('sha256', Buffer.from(certificate.der), 'base64url') !== thumbprint) {
      return refuse('The token is bound to another client certificate than the connection has.');
    }
  }
  if (typeof jkt === 'string') {
    if (dpop === undefined)
      return refuse('The token is bound to a DPoP key, and this scheme accepts no DPoP.');
    if (presentedAs === 'Bearer')
      return refuse('The token is bound to a DPoP key, but came as a plain bearer token.');
    const problem = await dpop.check(request, token, jkt, resource);
    return problem === undefined ? verified : refuse(problem.detail, problem.error);
  }
  if (presentedAs === 'DPoP')
    return refuse('The token came with DPoP, but is not bound to a key.', 'invalid_token');
  if (dpop?.required === true)
    return refuse('The token is not bound to a DPoP key, which this scheme requires.');
  return verified;
}
