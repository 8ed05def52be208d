import { generateKeyPairSync, randomBytes } from 'node:crypto';

import forge from 'node-forge';

/** A certificate authority, or somebody it certified. */
export interface Link {
  readonly cert: string;
  readonly key: string;
}

const HOUR_MS = 3_600_000;

/** Certificates of which each vouches for the next, from an authority down to a client. */
export function chainOf(...names: readonly [string, string, ...string[]]): readonly Link[] {
  let issuer: { readonly name: string; readonly key: forge.pki.rsa.PrivateKey } | undefined;
  return names.map((name, index) => {
    const pair = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const key = forge.pki.privateKeyFromPem(pair.privateKey);
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = forge.pki.publicKeyFromPem(pair.publicKey);
    // The leading one keeps the number positive, and its encoding minimal whatever follows.
    certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
    certificate.validity.notBefore = new Date(Date.now() - HOUR_MS);
    certificate.validity.notAfter = new Date(Date.now() + HOUR_MS);
    certificate.setSubject([{ name: 'commonName', value: name }]);
    certificate.setIssuer([{ name: 'commonName', value: issuer?.name ?? name }]);
    certificate.setExtensions(
      index === names.length - 1
        ? [{ name: 'extKeyUsage', clientAuth: true }]
        : [
            { name: 'basicConstraints', cA: true, critical: true },
            { name: 'keyUsage', keyCertSign: true, critical: true },
          ],
    );
    certificate.sign(issuer?.key ?? key, forge.md.sha256.create());
    issuer = { name, key };
    return { cert: forge.pki.certificateToPem(certificate), key: pair.privateKey };
  });
}
