import { loadBiscuit } from '@a2a-auth/biscuit';

export interface BiscuitIssuer {
  /** What agents that accept its tokens are given. */
  readonly rootKey: string;
  /** @param datalog facts, rules and checks of the authority block */
  issue(datalog: string): string;
}

/** Issues biscuits under a new root key. A real issuer keeps its private key, and keeps it safe. */
export async function createIssuer(): Promise<BiscuitIssuer> {
  const { BiscuitBuilder, KeyPair } = await loadBiscuit();
  const pair = new KeyPair();
  return {
    rootKey: pair.getPublicKey().toDatalogParameter(),
    issue(datalog) {
      const builder = new BiscuitBuilder();
      builder.addCode(datalog);
      return builder.build(pair.getPrivateKey()).toBase64();
    },
  };
}

/** Adds a block with more checks. Whoever holds a token can do so; nobody can take a block away. */
export async function attenuate(token: string, rootKey: string, checks: string): Promise<string> {
  const { Biscuit, BlockBuilder, PublicKey } = await loadBiscuit();
  const block = new BlockBuilder();
  block.addCode(checks);
  const key = PublicKey.fromString(rootKey.replace('ed25519/', ''));
  return Biscuit.fromBase64(token, key).appendBlock(block).toBase64();
}

/** As a check: the token ends this many seconds from now. */
export function endsIn(seconds: number): string {
  const end = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return `check if time($time), $time < ${end};`;
}
