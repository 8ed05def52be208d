/** The person at the browser. */
export interface Person {
  readonly login: string;
  /** What is typed where a device's code is asked for. */
  readonly userCode?: string;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** More pages than any login here has. */
const MAX_PAGES = 30;

/** A browser without a screen: it keeps cookies, follows redirects, and fills in and submits the forms it is shown. */
export class UserAgent {
  readonly #fetch: typeof fetch;
  readonly #cookies = new Map<string, Cookie>();

  constructor(fetchImpl: typeof fetch = fetch) {
    this.#fetch = fetchImpl;
  }

  /**
   * Opens an address and goes on until a page without a form is shown.
   *
   * @param callback where to stop: the client's redirect URI
   * @returns the address that the client is called back at, or the text of the last page
   */
  async visit(address: string | URL, person: Person, callback?: string): Promise<string> {
    let url = new URL(address);
    let form: URLSearchParams | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const response = await this.#request(url, form);
      const location = response.headers.get('location');
      if (location !== null) {
        await response.body?.cancel();
        url = new URL(location, url);
        form = undefined;
        if (callback !== undefined && url.href.startsWith(callback)) return url.href;
        continue;
      }
      const page = await response.text();
      if (!response.ok) throw new Error(`${url.href} answered with ${String(response.status)}: ${page}`);
      const shown = readForm(page, url, person);
      if (shown === undefined) return page;
      ({ action: url, fields: form } = shown);
    }
    throw new Error(`The login does not come to an end; the last address was ${url.href}.`);
  }

  async #request(url: URL, form: URLSearchParams | undefined): Promise<Response> {
    const cookies = [...this.#cookies.values()].filter(({ path }) => url.pathname.startsWith(path));
    const response = await this.#fetch(url, {
      redirect: 'manual',
      headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    });
    for (const field of response.headers.getSetCookie()) this.#keep(field);
    return response;
  }

  #keep(field: string): void {
    const [pair = '', ...attributes] = field.split(/; ?/);
    const [name = '', value = ''] = pair.split(/=(.*)/);
    const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? '/';
    if (value === '') this.#cookies.delete(`${path} ${name}`);
    else this.#cookies.set(`${path} ${name}`, { name, value, path });
  }
}

/** Reads the first form of a page; good enough for the authorization server's own pages. */
function readForm(
  page: string,
  url: URL,
  { login, userCode = '' }: Person,
): { action: URL; fields: URLSearchParams } | undefined {
  const [, form] = /(<form\b[\s\S]*?)<\/form>/.exec(page) ?? [];
  if (form === undefined) return undefined;
  const typed: Readonly<Record<string, string>> = { login, password: 'any', user_code: userCode };
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
    const name = attribute(input, 'name');
    if (name === undefined) continue;
    const value = attribute(input, 'value') ?? typed[name];
    if (value === undefined) throw new Error(`Nobody knows what to type into "${name}".`);
    fields.set(name, value);
  }
  return { action: new URL(attribute(form, 'action') ?? '', url), fields };
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&');
}
