import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';

import forge from 'node-forge';

/** A certificate with its key, in PEM, as `node:tls` takes them. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
  /** `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string;
}

/** An identity, and the authority whose clients are trusted. */
export interface ServerIdentity extends Identity {
  readonly ca: string;
}

const DAY_MS = 86_400_000;

/** A certificate authority for one test file. */
export function certificateAuthority() {
  const keys = keyPair();
  const subject = [{ name: 'commonName', value: 'Test authority' }];
  const issue = (
    certified: KeyPair,
    name: forge.pki.CertificateField[],
    extensions: object[],
  ): forge.pki.Certificate => {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = certified.publicKey;
    // The leading one keeps the number positive, and its encoding minimal whatever follows.
    certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
    certificate.validity.notBefore = new Date(Date.now() - DAY_MS);
    certificate.validity.notAfter = new Date(Date.now() + 365 * DAY_MS);
    certificate.setSubject(name);
    certificate.setIssuer(subject);
    certificate.setExtensions(extensions);
    certificate.sign(keys.privateKey, forge.md.sha256.create());
    return certificate;
  };
  const ca = forge.pki.certificateToPem(
    issue(keys, subject, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ]),
  );
  const identity = (commonName: string, extensions: object[]): Identity => {
    const own = keyPair();
    const certificate = issue(own, [{ name: 'commonName', value: commonName }], extensions);
    const der = forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes();
    return {
      key: own.pem,
      cert: forge.pki.certificateToPem(certificate),
      thumbprint: createHash('sha256').update(Buffer.from(der, 'binary')).digest('base64url'),
    };
  };

  return {
    ca,
    /** For https on 127.0.0.1. */
    server: (): ServerIdentity => ({
      ca,
      ...identity('127.0.0.1', [
        { name: 'extKeyUsage', serverAuth: true },
        { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
      ]),
    }),
    /** With the subject `CN=<commonName>`. */
    client: (commonName: string): Identity =>
      identity(commonName, [{ name: 'extKeyUsage', clientAuth: true }]),
  };
}

interface KeyPair {
  readonly publicKey: forge.pki.rsa.PublicKey;
  readonly privateKey: forge.pki.rsa.PrivateKey;
  readonly pem: string;
}

/** Made by Node, which is much faster at it. */
function keyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return {
    pem: privateKey,
    privateKey: forge.pki.privateKeyFromPem(privateKey),
    publicKey: forge.pki.publicKeyFromPem(publicKey),
  };
}
