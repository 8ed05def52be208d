import { bounded, isObject, member, text, type JsonObject } from './json.js';

/** Where an agent can be called. */
export interface CardInterface {
  /** As the card writes it. */
  readonly url: string;
  /** In upper case: `JSONRPC`, `HTTP+JSON`, `GRPC`, or one this client does not know. */
  readonly binding: string;
  /** The A2A version, such as `1.0` or `0.3`. */
  readonly version: string;
  /** Empty: none. */
  readonly tenant: string;
}

/** Reads `supportedInterfaces` (1.0), or else `url`, `preferredTransport` and `additionalInterfaces` (0.3). */
export function readInterfaces(card: JsonObject): readonly CardInterface[] {
  const stated = text(card, 'protocolVersion', 'protocol_version');
  const current = list(member(card, 'supportedInterfaces', 'supported_interfaces'), stated ?? '1.0');
  if (current.length > 0) return current;
  const legacy = stated ?? '0.3';
  const main = text(card, 'url');
  const first =
    main === undefined
      ? []
      : [
          {
            url: main,
            binding: (text(card, 'preferredTransport', 'preferred_transport') ?? 'JSONRPC').toUpperCase(),
            version: legacy,
            tenant: '',
          },
        ];
  const rest = list(member(card, 'additionalInterfaces', 'additional_interfaces'), legacy).filter(
    ({ url, binding }) => url !== first[0]?.url || binding !== first[0].binding,
  );
  return [...first, ...rest];
}

function list(value: unknown, version: string): readonly CardInterface[] {
  if (!Array.isArray(value)) return [];
  return bounded<unknown>(value, 50, 'interfaces').flatMap((entry) => {
    if (!isObject(entry)) return [];
    const url = text(entry, 'url');
    const binding = text(entry, 'protocolBinding', 'protocol_binding', 'transport');
    if (url === undefined || binding === undefined) return [];
    return [
      {
        url,
        binding: binding.toUpperCase(),
        version: text(entry, 'protocolVersion', 'protocol_version') ?? version,
        tenant: text(entry, 'tenant') ?? '',
      },
    ];
  });
}
