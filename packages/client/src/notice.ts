import diagnosticsChannel from 'node:diagnostics_channel';

/** Something odd that was coped with. Holds no secret. */
export interface ClientNotice {
  readonly code:
    /** The card names another token endpoint than the configured issuer has. The issuer's was used. */
    | 'OTHER_TOKEN_ENDPOINT'
    /** What the token store gave back cannot be read, and counts as nothing. */
    | 'UNREADABLE_SESSION'
    /** The card has an alternative that needs nothing, and the credentials meet no other. Calls are made without any. */
    | 'CREDENTIALS_UNUSED';
  readonly message: string;
}

/** The name of the `diagnostics_channel` on which notices are published. */
export const CLIENT_NOTICE_CHANNEL = 'a2a-auth.client.notice';

const channel = diagnosticsChannel.channel(CLIENT_NOTICE_CHANNEL);

export function notice(code: ClientNotice['code'], message: string): void {
  if (channel.hasSubscribers) channel.publish({ code, message } satisfies ClientNotice);
}
