import type { CredentialSource } from '../credential-source.js';
import { tlsIdentity, type TlsFiles } from './tls-files.js';

/**
 * A client certificate, for mutual TLS schemes.
 *
 * @throws {ClientError} `INVALID_OPTION` when a path is missing
 */
export function mutualTls(files: TlsFiles): CredentialSource {
  const load = tlsIdentity('mutualTls', files);
  return {
    interactive: false,
    unfitFor: (scheme) =>
      scheme.type === 'mutualTLS' ? undefined : `A client certificate is no ${scheme.type} credential.`,
    async credential() {
      return { tls: await load() };
    },
    async renew({ refused }) {
      return (await load()) !== refused.tls;
    },
  };
}
