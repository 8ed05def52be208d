import { loadBiscuit, type BiscuitLibrary } from '@a2a-auth/biscuit';

type Parameters = Readonly<Record<string, unknown>>;

const library: BiscuitLibrary = await loadBiscuit();

/** Who issues biscuits, with a key made for the occasion. */
export interface Issuer {
  /** As the option `rootKeys` takes it. */
  readonly rootKey: string;
  /** A token whose authority block holds this datalog. */
  token(datalog: string, parameters?: Parameters, keyId?: number): string;
  /** The same token with one more block: what whoever holds it can do. */
  attenuated(token: string, datalog: string): string;
  /** The same token with one more block, signed by somebody else. */
  withBlockOf(other: Issuer, token: string, datalog: string): string;
  sealed(token: string): string;
  revocationIds(token: string): string[];
  readonly privateKey: InstanceType<BiscuitLibrary['PrivateKey']>;
}

export function issuer(): Issuer {
  const { Biscuit, BiscuitBuilder, BlockBuilder, KeyPair } = library;
  const pair = new KeyPair();
  const publicKey = pair.getPublicKey();
  const read = (token: string) => Biscuit.fromBase64(token, publicKey);
  const block = (datalog: string) => {
    const builder = new BlockBuilder();
    builder.addCode(datalog);
    return builder;
  };
  return {
    rootKey: publicKey.toDatalogParameter(),
    privateKey: pair.getPrivateKey(),
    token: (datalog, parameters = {}, keyId) => {
      const builder = new BiscuitBuilder();
      builder.addCodeWithParameters(datalog, parameters, {});
      if (keyId !== undefined) builder.setRootKeyId(keyId);
      return builder.build(pair.getPrivateKey()).toBase64();
    },
    attenuated: (token, datalog) => read(token).appendBlock(block(datalog)).toBase64(),
    withBlockOf: (other, token, datalog) => {
      const request = read(token).getThirdPartyRequest();
      const signed = request.createBlock(other.privateKey, block(datalog));
      return read(token)
        .appendThirdPartyBlock(library.PublicKey.fromString(other.rootKey.slice(8)), signed)
        .toBase64();
    },
    sealed: (token) => read(token).sealToken().toBase64(),
    revocationIds: (token) => read(token).getRevocationIdentifiers() as string[],
  };
}
